// What the families of tiles share: the order of their panels, and packing.
#ifndef AMX_H
#define AMX_H

#include "kernels.h"

// A tile has 16 rows of 64 bytes: 16 lines by 32 of depth in bfloat16. Rows of a left tile
// are lines; rows of a right tile are pairs of depth, [16 pairs][16 lines][2].
//
// A panel of 32 lines is [steps of 32 in depth][planes][2 tiles]. The one plane of amx has
// the rounded numbers. The two of amx3 have hi, the rounded numbers, and lo, what that left
// over, rounded.
enum {
	tile_lines = 16,
	tile_depth = 32,
	tile_size = tile_lines * tile_depth, // in elements
	panel_lines = 2 * tile_lines,
	plane_size = 2 * tile_size,
	amx_slice = 512, // a right panel of 32 KiB stays in the first cache
	amx3_slice = 256,
	left_piece = 512, // with it and its sums 1.3 MB, of 2 in the second cache
	right_piece = 256,
};

// The rounding of amx3: what x·y - (hi·hi + hi·lo + lo·hi) leaves is lo·lo and what each pair
// of hi and lo lacks of its number, each at most u² with u = 2^-8.
#define amx3_rounding (3 * 0x1p-16f)

// Reports whether this processor runs the packing: AVX-512 with BW, VL and BF16.
int kernels_amx_packs(void);

void kernels_amx_left(void *dst, const struct kernels_operand *o, long lines, long depth, float scale);
void kernels_amx_right(void *dst, const struct kernels_operand *o, long lines, long depth, float scale);
void kernels_amx3_left(void *dst, const struct kernels_operand *o, long lines, long depth, float scale);
void kernels_amx3_right(void *dst, const struct kernels_operand *o, long lines, long depth, float scale);

#endif
