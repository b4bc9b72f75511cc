// The families in order of preference.
#include "kernels.h"

#include <stddef.h>

const struct kernels_family *kernels_family(int i) {
	static const struct kernels_family *const all[] = {
#ifdef __x86_64__
		&kernels_avx512bf16,
		&kernels_avx512,
		&kernels_avx2,
#endif
		&kernels_portable,
	};
	return i < (int)(sizeof all / sizeof *all) ? all[i] : NULL;
}
