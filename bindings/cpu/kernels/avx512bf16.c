// Products in bfloat16 with vectors of 512 bits (vdpbf16ps).
#include "kernels.h"

#ifdef __x86_64__

#include "x86.h"

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma,f16c")))
#define UNIT 2
#include "avx512.h"

static int available(void) { return (kernels_x86() & x86_avx512bf16) != 0; }

// On Intel's processors vdpbf16ps has half of the speed of a float32 product of the same
// depth.
static int preferred(void) { return (kernels_x86() & x86_intel) == 0; }

const struct kernels_family kernels_avx512bf16 = {
	.name = "avx512bf16",
	.bf16 = 1,
	.rows = height,
	.cols = width,
	.unit = UNIT,
	.bytes = 2,
	.slice = 512,
	.left_piece = 504,
	.right_piece = 128,
	.detail = "bfloat16, 512 bits",
	.rounding = kernels_bf16_rounding,
	.available = available,
	.preferred = preferred,
	.pack_left = pack_left,
	.pack_right = pack_right,
	.multiply = multiply,
	.spin = spin,
};

#endif
