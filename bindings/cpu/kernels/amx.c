// The families of AMX's tiles: amx multiplies bfloat16; amx3 multiplies float32 as three
// products of bfloat16, x·y ~ hi·hi + hi·lo + lo·hi with x = hi + lo.
#ifdef __x86_64__
#include "amx_multiply.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

// Reports whether the processor has tiles of bfloat16 and the system saves them. Linux has
// the right to use them granted to the process on request.
static int available(void) {
	enum { amx_bf16 = 1 << 22, amx_tile = 1 << 24, osxsave = 1 << 27 };
	enum { tile_state = 3 << 17, tile_data = 18, request = 0x1023 }; // ARCH_REQ_XCOMP_PERM
	unsigned a, b, c, d, low, high;
	if (!kernels_amx_packs() || !__get_cpuid(1, &a, &b, &c, &d) || !(c & osxsave)) return 0;
	if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & amx_bf16) || !(d & amx_tile)) return 0;
	__asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	if ((low & tile_state) != tile_state) return 0;
#ifdef __linux__
	return syscall(SYS_arch_prctl, request, tile_data) == 0;
#else
	return 0;
#endif
}

const struct kernels_family kernels_amx = {
	.name = "amx",
	.bf16 = 1,
	.rows = panel_lines,
	.cols = panel_lines,
	.unit = tile_depth,
	.bytes = 2,
	.slice = amx_slice,
	.left_piece = 512,
	.right_piece = 256,
	.detail = "bfloat16 tiles",
	.rounding = amx_rounding,
	.available = available,
	.pack_left = kernels_amx_left,
	.pack_right = kernels_amx_right,
	.multiply = multiply_amx,
};

const struct kernels_family kernels_amx3 = {
	.name = "amx3",
	.rows = panel_lines,
	.cols = panel_lines,
	.unit = tile_depth,
	.bytes = 4,
	.slice = amx3_slice,
	.left_piece = 512,
	.right_piece = 256,
	.detail = "float32 as three products of bfloat16 tiles",
	.rounding = amx3_rounding,
	.available = available,
	.pack_left = kernels_amx3_left,
	.pack_right = kernels_amx3_right,
	.multiply = multiply_amx3,
};
#endif
