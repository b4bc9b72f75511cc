// The instructions of AMX. A file that defines TILES_EMULATED first gets functions in C that
// do the same, so that everything around the instructions runs on processors without them.
#ifndef TILES_H
#define TILES_H

#include <stdint.h>
#include <string.h>

enum { tile_count = 8, tile_rows = 16, tile_row_bytes = 64 };

// The operand of ldtilecfg: palette 1, and the shape of each tile.
struct tile_config {
	uint8_t palette, start_row, reserved[14];
	uint16_t row_bytes[16];
	uint8_t rows[16];
};

#ifndef TILES_EMULATED

#include <immintrin.h>

#define TILES_TARGET __attribute__((target("amx-tile,amx-bf16")))

#define tile_load(tile, from, stride) _tile_loadd(tile, from, stride)
#define tile_load_once(tile, from, stride) _tile_stream_loadd(tile, from, stride)
#define tile_store(tile, to, stride) _tile_stored(tile, to, stride)
#define tile_zero(tile) _tile_zero(tile)
#define tile_dot(sums, left, right) _tile_dpbf16ps(sums, left, right)
#define tile_release() _tile_release()
#define tile_load_config(config) _tile_loadconfig(config)

#else

#include <math.h>
#include <stdlib.h>

#define TILES_TARGET __attribute__((target("avx512f")))

static _Thread_local struct {
	struct tile_config shape;
	uint32_t tile[tile_count][tile_rows][tile_row_bytes / 4];
} tiles;

// Ends the program where the processor raises #UD or #GP.
static void tile_require(int holds) {
	if (!holds) abort();
}

static void tile_load_config(const struct tile_config *config) {
	tile_require(config->palette == 1 && config->start_row == 0);
	for (int i = 0; i < 14; i++) tile_require(config->reserved[i] == 0);
	for (int i = 0; i < 16; i++) {
		int used = config->rows[i] != 0;
		tile_require(used == (config->row_bytes[i] != 0) && (i < tile_count || !used));
		tile_require(config->rows[i] <= tile_rows && config->row_bytes[i] <= tile_row_bytes);
	}
	memset(&tiles, 0, sizeof tiles);
	tiles.shape = *config;
}

static void tile_release(void) { memset(&tiles, 0, sizeof tiles); }

static void tile_zero(int tile) {
	tile_require(tiles.shape.rows[tile] != 0);
	memset(tiles.tile[tile], 0, sizeof tiles.tile[tile]);
}

static void tile_load(int tile, const void *from, long stride) {
	tile_zero(tile);
	for (int i = 0; i < tiles.shape.rows[tile]; i++) memcpy(tiles.tile[tile][i], (const char *)from + i * stride, tiles.shape.row_bytes[tile]);
}

static void tile_load_once(int tile, const void *from, long stride) { tile_load(tile, from, stride); }

static void tile_store(int tile, void *to, long stride) {
	tile_require(tiles.shape.rows[tile] != 0);
	for (int i = 0; i < tiles.shape.rows[tile]; i++) memcpy((char *)to + i * stride, tiles.tile[tile][i], tiles.shape.row_bytes[tile]);
}

// Flushes a subnormal to zero.
TILES_TARGET static inline float tile_flush(float x) { return fabsf(x) < 0x1p-126f ? copysignf(0, x) : x; }

// Returns a bfloat16 from the upper half of bits.
TILES_TARGET static inline float tile_float(uint32_t bits) {
	float x;
	bits &= 0xffff0000;
	memcpy(&x, &bits, 4);
	return tile_flush(x);
}

// TDPBF16PS as in Intel's Software Developer's Manual: of each row and column the first
// elements of the pairs are summed by fused multiply-adds, and so are the second ones; the
// two sums are added, then added to the tile. Every result is rounded to nearest even and
// subnormals are zeros, in and out.
TILES_TARGET static void tile_dot(int sums, int left, int right) {
	const struct tile_config *c = &tiles.shape;
	tile_require(c->rows[sums] == c->rows[left] && c->row_bytes[sums] == c->row_bytes[right] && c->rows[right] == c->row_bytes[left] / 4);
	for (int m = 0; m < c->rows[sums]; m++) {
		float first[tile_row_bytes / 4] = {0}, second[tile_row_bytes / 4] = {0};
		for (int k = 0; k < c->rows[right]; k++) {
			uint32_t pair = tiles.tile[left][m][k];
			float a = tile_float(pair << 16), b = tile_float(pair);
			for (int n = 0; n < tile_row_bytes / 4; n++) {
				uint32_t other = tiles.tile[right][k][n];
				first[n] = tile_flush(fmaf(a, tile_float(other << 16), first[n]));
				second[n] = tile_flush(fmaf(b, tile_float(other), second[n]));
			}
		}
		for (int n = 0; n < c->row_bytes[sums] / 4; n++) {
			float sum;
			memcpy(&sum, &tiles.tile[sums][m][n], 4);
			sum = tile_flush(tile_flush(sum) + tile_flush(first[n] + second[n]));
			memcpy(&tiles.tile[sums][m][n], &sum, 4);
		}
	}
}

#endif
#endif
