// The families of amx.c on emulated tiles, for tests on processors without AMX.
#ifdef __x86_64__
#define TILES_EMULATED
#include "amx_multiply.h"

const struct kernels_family kernels_amx_emulated = {
	.name = "amx-emulated",
	.emulated = 1,
	.bf16 = 1,
	.rows = panel_lines,
	.cols = panel_lines,
	.unit = tile_depth,
	.bytes = 2,
	.slice = amx_slice,
	.left_piece = left_piece,
	.right_piece = right_piece,
	.detail = amx_detail,
	.rounding = kernels_bf16_rounding,
	.available = kernels_amx_packs,
	.pack_left = kernels_amx_left,
	.pack_right = kernels_amx_right,
	.multiply = multiply_amx,
};

const struct kernels_family kernels_amx3_emulated = {
	.name = "amx3-emulated",
	.emulated = 1,
	.rows = panel_lines,
	.cols = panel_lines,
	.unit = tile_depth,
	.bytes = 4,
	.slice = amx3_slice,
	.left_piece = left_piece,
	.right_piece = right_piece,
	.detail = amx3_detail,
	.rounding = amx3_rounding,
	.available = kernels_amx_packs,
	.pack_left = kernels_amx3_left,
	.pack_right = kernels_amx3_right,
	.multiply = multiply_amx3,
};
#endif
