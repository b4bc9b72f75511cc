// Products in float32 with vectors of 512 bits.
#include "kernels.h"

#ifdef __x86_64__

#include "x86.h"

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")))
#define UNIT 1
#include "avx512.h"

static int available(void) { return (kernels_x86() & x86_avx512) != 0; }

const struct kernels_family kernels_avx512 = {
	.name = "avx512",
	.rows = height,
	.cols = width,
	.unit = UNIT,
	.bytes = 4,
	.slice = 256,
	.left_piece = 504,
	.right_piece = 128,
	.detail = "float32, 512 bits",
	.available = available,
	.pack_left = pack_left,
	.pack_right = pack_right,
	.multiply = multiply,
	.spin = spin,
};

#endif
