// Products of tiles, on the instructions that tiles.h gives: included by amx.c for those of
// the processor and by amx_emulated.c for emulated ones.
#include "amx.h"
#include "tiles.h"

#define INLINE static inline __attribute__((always_inline)) TILES_TARGET

// Tiles 0 to 3 hold sums [32, 32] by quarters, 4 and 5 left tiles, 6 and 7 right ones.
INLINE void configure(void) {
	struct tile_config config = {.palette = 1};
	for (int i = 0; i < tile_count; i++) {
		config.rows[i] = tile_rows;
		config.row_bytes[i] = tile_row_bytes;
	}
	__asm__ volatile("" : : "r"(&config) : "memory"); // gcc 12 knows of the first bytes that are read only
	tile_load_config(&config);
}

// Adds the product of a left and a right panel to the sums. Without tall the lower half of
// the left panel is left out, without wide the second of the right one. Left panels pass by
// once: their loads must not push the right panel out of the first cache.
INLINE void add_amx(const uint16_t *left, const uint16_t *right, long steps, int tall, int wide) {
	for (long s = 0; s < steps; s++, left += plane_size, right += plane_size) {
		tile_load_once(4, left, tile_row_bytes);
		tile_load(6, right, tile_row_bytes);
		tile_dot(0, 4, 6);
		if (wide) {
			tile_load(7, right + tile_size, tile_row_bytes);
			tile_dot(1, 4, 7);
		}
		if (tall) {
			tile_load_once(5, left + tile_size, tile_row_bytes);
			tile_dot(2, 5, 6);
		}
		if (tall && wide) tile_dot(3, 5, 7);
	}
}

// Adds one of the products of planes; consecutive ones are of different sums.
INLINE void add_planes(int tall, int wide) {
	tile_dot(0, 4, 6);
	if (wide) tile_dot(1, 4, 7);
	if (tall) tile_dot(2, 5, 6);
	if (tall && wide) tile_dot(3, 5, 7);
}

// As add_amx, with panels of two planes: lo·hi, hi·hi and hi·lo of each step.
INLINE void add_amx3(const uint16_t *left, const uint16_t *right, long steps, int tall, int wide) {
	for (long s = 0; s < steps; s++, left += 2 * plane_size, right += 2 * plane_size) {
		tile_load_once(4, left + plane_size, tile_row_bytes);
		if (tall) tile_load_once(5, left + plane_size + tile_size, tile_row_bytes);
		tile_load(6, right, tile_row_bytes);
		if (wide) tile_load(7, right + tile_size, tile_row_bytes);
		add_planes(tall, wide);
		tile_load_once(4, left, tile_row_bytes);
		if (tall) tile_load_once(5, left + tile_size, tile_row_bytes);
		add_planes(tall, wide);
		tile_load(6, right + plane_size, tile_row_bytes);
		if (wide) tile_load(7, right + plane_size + tile_size, tile_row_bytes);
		add_planes(tall, wide);
	}
}

INLINE void add(const uint16_t *left, const uint16_t *right, long steps, int planes, int tall, int wide) {
	if (planes == 1)
		add_amx(left, right, steps, tall, wide);
	else
		add_amx3(left, right, steps, tall, wide);
}

INLINE void multiply_panels(float *sums, long stride, const uint16_t *left, const uint16_t *right, long steps, int planes, int tall, int wide, int accumulate) {
	long row = stride * (long)sizeof *sums;
	float *lower = sums + tile_lines * stride;
	if (accumulate) {
		tile_load(0, sums, row);
		if (wide) tile_load(1, sums + tile_lines, row);
		if (tall) tile_load(2, lower, row);
		if (tall && wide) tile_load(3, lower + tile_lines, row);
	} else {
		tile_zero(0);
		tile_zero(1);
		tile_zero(2);
		tile_zero(3);
	}
	add(left, right, steps, planes, tall, wide);
	tile_store(0, sums, row);
	if (wide) tile_store(1, sums + tile_lines, row);
	if (tall) tile_store(2, lower, row);
	if (tall && wide) tile_store(3, lower + tile_lines, row);
}

// Multiplies two panels of which rows and cols lines are wanted, fewer than all.
INLINE void multiply_edge(float *sums, long stride, const uint16_t *left, const uint16_t *right, long rows, long cols, long steps, int planes, int accumulate) {
	float part[panel_lines][panel_lines] = {{0}};
	size_t row = (size_t)cols * sizeof *sums;
	if (accumulate)
		for (long i = 0; i < rows; i++) memcpy(part[i], sums + i * stride, row);
	__asm__ volatile("" : : "r"(part) : "memory"); // tile loads of gcc 12 do not tell what they read
	if (rows > tile_lines && cols > tile_lines)
		multiply_panels(part[0], panel_lines, left, right, steps, planes, 1, 1, accumulate);
	else if (rows > tile_lines)
		multiply_panels(part[0], panel_lines, left, right, steps, planes, 1, 0, accumulate);
	else if (cols > tile_lines)
		multiply_panels(part[0], panel_lines, left, right, steps, planes, 0, 1, accumulate);
	else
		multiply_panels(part[0], panel_lines, left, right, steps, planes, 0, 0, accumulate);
	for (long i = 0; i < rows; i++) memcpy(sums + i * stride, part[i], row);
}

INLINE void multiply(float *sums, long stride, const uint16_t *left, const uint16_t *right, long rows, long cols, long depth, int accumulate, int planes) {
	long steps = (depth + tile_depth - 1) / tile_depth, panel = steps * planes * plane_size;
	configure();
	for (long j = 0; j < cols; j += panel_lines, right += panel) {
		const uint16_t *l = left;
		for (long i = 0; i < rows; i += panel_lines, l += panel) {
			float *s = sums + i * stride + j;
			if (rows - i >= panel_lines && cols - j >= panel_lines)
				multiply_panels(s, stride, l, right, steps, planes, 1, 1, accumulate);
			else
				multiply_edge(s, stride, l, right, rows - i < panel_lines ? rows - i : panel_lines, cols - j < panel_lines ? cols - j : panel_lines, steps, planes, accumulate);
		}
	}
	tile_release();
}

TILES_TARGET static void multiply_amx(float *sums, long stride, const void *left, const void *right, long rows, long cols, long depth, int accumulate) {
	multiply(sums, stride, left, right, rows, cols, depth, accumulate, 1);
}

TILES_TARGET static void multiply_amx3(float *sums, long stride, const void *left, const void *right, long rows, long cols, long depth, int accumulate) {
	multiply(sums, stride, left, right, rows, cols, depth, accumulate, 2);
}

// What the families on real and on emulated tiles share.
#define AMX_PANELS .rows = panel_lines, .cols = panel_lines, .unit = tile_depth, .left_piece = left_piece, .right_piece = right_piece
#define AMX \
	AMX_PANELS, .bf16 = 1, .bytes = 2, .slice = amx_slice, .rounding = kernels_bf16_rounding, .detail = "bfloat16, tiles", \
	.pack_left = kernels_amx_left, .pack_right = kernels_amx_right, .multiply = multiply_amx
#define AMX3 \
	AMX_PANELS, .bytes = 4, .slice = amx3_slice, .rounding = amx3_rounding, .detail = "float32 by three products of bfloat16, tiles", \
	.pack_left = kernels_amx3_left, .pack_right = kernels_amx3_right, .multiply = multiply_amx3
