// The families in order of preference.
#include "kernels.h"

#include <stddef.h>

const struct kernels_family *kernels_family(int i) {
	static const struct kernels_family *const all[] = {
#ifdef __x86_64__
		&kernels_amx,
		&kernels_amx3,
		&kernels_amx_emulated,
		&kernels_amx3_emulated,
		&kernels_avx512bf16,
		&kernels_avx512,
		&kernels_avx2,
#elif defined(__aarch64__)
		&kernels_neonbf16,
		&kernels_neon,
#endif
		&kernels_portable,
	};
	return i < (int)(sizeof all / sizeof *all) ? all[i] : NULL;
}
