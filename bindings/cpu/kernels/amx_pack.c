// Packs operands in tiles of bfloat16, in AVX-512.
#ifdef __x86_64__
#include "amx.h"
#include "x86.h"

#include <string.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))
#include "vectors512.h"

enum side { left, right };

// A tile of each plane.
typedef __m512i tile[2][tile_lines];

// Rounds a and b to row i of the planes: a to its first half, b to its second.
INLINE void round32(tile t, int i, __m512 a, __m512 b, int planes) {
	__m512i hi = (__m512i)_mm512_cvtne2ps_pbh(b, a);
	t[0][i] = hi;
	if (planes == 2) {
		__m512 rest_a = _mm512_sub_ps(a, from_bf16(_mm512_castsi512_si256(hi)));
		__m512 rest_b = _mm512_sub_ps(b, from_bf16(_mm512_extracti64x4_epi64(hi, 1)));
		t[1][i] = (__m512i)_mm512_cvtne2ps_pbh(rest_b, rest_a);
	}
}

// Rounds a and b to row i of the planes: in pairs of an a and a b.
INLINE void round_pairs(tile t, int i, __m512 a, __m512 b, int planes) {
	round32(t, i, a, b, planes);
	for (int p = 0; p < planes; p++) t[p][i] = interleaved(t[p][i]);
}

// Writes the tile of each plane; natural is the side whose order of rows t has.
INLINE void store(uint16_t *dst, tile t, int planes, enum side side, enum side natural) {
	for (int p = 0; p < planes; p++) {
		if (side != natural) transpose_words(t[p]); // rows of lines become rows of pairs of depth, and the reverse
		for (int i = 0; i < tile_lines; i++) _mm512_storeu_si512(dst + p * plane_size + i * tile_depth, t[p][i]);
	}
}

// Packs a tile of a dense operand whose lines are contiguous. Those of lines and depth that
// there are not are zeros.
INLINE void dense_lines(uint16_t *dst, int type, const void *data, long at, long stride, long lines, long depth, __m512 scale, int planes, enum side side) {
	tile t;
	__mmask16 a = first_lanes(depth), b = first_lanes(depth - 16);
	for (int i = 0; i < tile_lines; i++, at += stride) {
		__mmask16 live = i < lines ? 0xffff : 0;
		round32(t, i, _mm512_mul_ps(load(type, data, at, live & a), scale), _mm512_mul_ps(load(type, data, at + 16, live & b), scale), planes);
	}
	store(dst, t, planes, side, left);
}

// Packs a tile of a transposed dense operand.
INLINE void dense_columns(uint16_t *dst, int type, const void *data, long at, long stride, long lines, long depth, __m512 scale, int planes, enum side side) {
	tile t;
	__mmask16 live = first_lanes(lines);
	for (int i = 0; i < tile_lines; i++, at += 2 * stride) {
		__m512 a = load(type, data, at, 2 * i < depth ? live : 0), b = load(type, data, at + stride, 2 * i + 1 < depth ? live : 0);
		round_pairs(t, i, _mm512_mul_ps(a, scale), _mm512_mul_ps(b, scale), planes);
	}
	store(dst, t, planes, side, right);
}

// Packs a tile of any operand.
static __attribute__((noinline)) TARGET void any_tile(uint16_t *dst, const struct kernels_operand *o, long line, long k, long lines, long depth, float scale, int planes, enum side side) {
	float x[tile_size];
	for (int i = 0; i < tile_lines && line + i < lines; i++) kernels_expand(x + i * tile_depth, o, line + i, k, depth - k < tile_depth ? depth - k : tile_depth);
	dense_lines(dst, kernels_f32, x, 0, tile_depth, lines - line, depth - k, _mm512_set1_ps(scale), planes, side);
}

INLINE void pack_dense(uint16_t *dst, const struct kernels_operand *o, int type, long lines, long depth, __m512 scale, int planes, enum side side) {
	long stride = o->stride;
	for (long line = 0; line < lines; line += panel_lines)
		for (long k = 0; k < depth; k += tile_depth, dst += planes * plane_size)
			for (int h = 0; h < 2; h++) {
				long l = line + h * tile_lines;
				if (o->transposed)
					dense_columns(dst + h * tile_size, type, o->data, k * stride + l, stride, lines - l, depth - k, scale, planes, side);
				else
					dense_lines(dst + h * tile_size, type, o->data, l * stride + k, stride, lines - l, depth - k, scale, planes, side);
			}
}

// Returns the scales of 16 blocks from block on, each step blocks after the one before.
// The product is rounded before the sum.
INLINE __m512 scales16(const struct kernels_operand *o, long block, long step, int nested_shift) {
	__m512i at = _mm512_mullo_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), _mm512_set1_epi32((int)step));
	if (o->absmax) return _mm512_i32gather_ps(at, o->absmax + block, 4);
	uint8_t codes[16];
	for (int i = 0; i < 16; i++) codes[i] = o->absmax_codes[block + i * step];
	__m512 map = _mm512_i32gather_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)codes)), o->map, 4);
	at = _mm512_srl_epi32(_mm512_add_epi32(at, _mm512_set1_epi32((int)block)), _mm_cvtsi32_si128(nested_shift));
	__m512 product = _mm512_mul_ps(map, _mm512_i32gather_ps(at, o->nested, 4));
	__asm__("" : "+v"(product)); // not contracted with the sum
	return _mm512_add_ps(product, _mm512_set1_ps(o->offset));
}

// Transposes the 16 x 16 bytes in each of the four lanes.
INLINE void transpose_bytes(__m512i *r) {
	__m512i t[16];
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 8; i++) {
			t[2 * i] = _mm512_unpacklo_epi8(r[i], r[i + 8]);
			t[2 * i + 1] = _mm512_unpackhi_epi8(r[i], r[i + 8]);
		}
		for (int i = 0; i < 8; i++) {
			r[2 * i] = _mm512_unpacklo_epi8(t[i], t[i + 8]);
			r[2 * i + 1] = _mm512_unpackhi_epi8(t[i], t[i + 8]);
		}
	}
}

// A coded operand that is read in vectors: its blocks lie the same way in each line.
struct coded {
	const struct kernels_operand *o;
	__m512 values;
	long blocks;      // of a row
	int nested_shift; // log2 of nested_block
};

// Reports whether runs of unit elements, which begin at multiples of it, have one scale each.
INLINE int regular(struct coded *c, const struct kernels_operand *o, long unit) {
	if (o->first % unit || o->block % unit || o->stride % o->block) return 0;
	*c = (struct coded){.o = o, .values = _mm512_loadu_ps(o->values), .blocks = o->stride / o->block};
	if (o->absmax) return 1;
	c->nested_shift = __builtin_ctzl((unsigned long)o->nested_block);
	return o->nested_block == 1L << c->nested_shift;
}

enum {
	code_bytes = tile_depth / 2,     // of a line of a tile
	chunk_steps = 64 / code_bytes,   // a line of codes is read by whole cache lines
	chunk = chunk_steps * tile_depth // of depth
};

// Packs up to chunk_steps tiles of 16 lines of codes, whose steps are step_size apart in dst.
// A byte of codes is a pair of depth: transposed bytes are rows of pairs.
INLINE void coded_lines(uint16_t *dst, long step_size, const struct coded *c, long line, long k, long steps, __m512 scale, int planes, enum side side) {
	const struct kernels_operand *o = c->o;
	const uint8_t *codes = (const uint8_t *)o->data + (o->first + line * o->stride + k) / 2;
	__mmask64 live = steps >= chunk_steps ? ~0ull : (1ull << steps * code_bytes) - 1;
	__m512i r[tile_lines];
	for (int i = 0; i < tile_lines; i++) r[i] = _mm512_maskz_loadu_epi8(live, codes + i * (o->stride / 2));
	transpose_bytes(r);
	uint8_t pairs[tile_lines][64] __attribute__((aligned(64)));
	for (int i = 0; i < tile_lines; i++) _mm512_store_si512(pairs[i], r[i]);

	__m512 absmax = _mm512_setzero_ps();
	long until = k;
	for (long s = 0; s < steps && s < chunk_steps; s++, k += tile_depth, dst += step_size) {
		if (k == until) {
			long block = (o->first + k) / o->block;
			absmax = scales16(o, line * c->blocks + block, c->blocks, c->nested_shift);
			until = (block + 1) * o->block - o->first;
		}
		tile t;
		for (int i = 0; i < tile_lines; i++) {
			__m512i code = _mm512_cvtepu8_epi32(_mm_load_si128((const __m128i *)(pairs[i] + s * code_bytes)));
			__m512 a = _mm512_mul_ps(_mm512_permutexvar_ps(_mm512_srli_epi32(code, 4), c->values), absmax);
			__m512 b = _mm512_mul_ps(_mm512_permutexvar_ps(code, c->values), absmax);
			round_pairs(t, i, _mm512_mul_ps(a, scale), _mm512_mul_ps(b, scale), planes);
		}
		store(dst, t, planes, side, right);
	}
}

// Returns 16 elements of a row from 8 bytes of codes.
INLINE __m512 decode16(const uint8_t *codes, __m512 values, float absmax) {
	__m512i shifts = _mm512_set_epi32(24, 28, 16, 20, 8, 12, 0, 4, 24, 28, 16, 20, 8, 12, 0, 4);
	int32_t a, b;
	memcpy(&a, codes, 4);
	memcpy(&b, codes + 4, 4);
	__m512i code = _mm512_srlv_epi32(_mm512_mask_set1_epi32(_mm512_set1_epi32(a), 0xff00, b), shifts);
	return _mm512_mul_ps(_mm512_permutexvar_ps(code, values), _mm512_set1_ps(absmax));
}

// Packs a tile of a transposed coded operand; absmax has the scale of each of its rows.
INLINE void coded_columns(uint16_t *dst, const struct coded *c, long line, long k, const float *absmax, __m512 scale, int planes, enum side side) {
	const struct kernels_operand *o = c->o;
	const uint8_t *codes = (const uint8_t *)o->data + (o->first + k * o->stride + line) / 2;
	long row = o->stride / 2;
	tile t;
	for (int i = 0; i < tile_lines; i++, codes += 2 * row) {
		__m512 a = decode16(codes, c->values, absmax[2 * i]), b = decode16(codes + row, c->values, absmax[2 * i + 1]);
		round_pairs(t, i, _mm512_mul_ps(a, scale), _mm512_mul_ps(b, scale), planes);
	}
	store(dst, t, planes, side, right);
}

INLINE void pack_coded_lines(uint16_t *dst, const struct coded *c, long lines, long depth, float scale, int planes, enum side side) {
	__m512 factor = _mm512_set1_ps(scale);
	long step_size = planes * plane_size, steps = (depth + tile_depth - 1) / tile_depth;
	for (long line = 0; line < lines; line += panel_lines, dst += steps * step_size)
		for (long k = 0; k < depth; k += chunk)
			for (int h = 0; h < 2; h++) {
				long l = line + h * tile_lines, whole = lines - l >= tile_lines ? (depth - k) / tile_depth : 0;
				uint16_t *d = dst + k / tile_depth * step_size + h * tile_size;
				if (whole) coded_lines(d, step_size, c, l, k, whole, factor, planes, side);
				for (long s = whole; s < chunk_steps && k + s * tile_depth < depth; s++)
					any_tile(d + s * step_size, c->o, l, k + s * tile_depth, lines, depth, scale, planes, side);
			}
}

INLINE void pack_coded_columns(uint16_t *dst, const struct coded *c, long lines, long depth, float scale, int planes, enum side side) {
	const struct kernels_operand *o = c->o;
	__m512 factor = _mm512_set1_ps(scale);
	for (long line = 0; line < lines; line += panel_lines)
		for (long k = 0; k < depth; k += tile_depth, dst += planes * plane_size) {
			float absmax[tile_depth];
			long known = -1; // the block, within a row, that absmax is of
			for (int h = 0; h < 2; h++) {
				long l = line + h * tile_lines, block = (o->first + l) / o->block;
				if (lines - l < tile_lines || depth - k < tile_depth) {
					any_tile(dst + h * tile_size, o, l, k, lines, depth, scale, planes, side);
					continue;
				}
				if (block != known) {
					_mm512_storeu_ps(absmax, scales16(o, k * c->blocks + block, c->blocks, c->nested_shift));
					_mm512_storeu_ps(absmax + 16, scales16(o, (k + 16) * c->blocks + block, c->blocks, c->nested_shift));
					known = block;
				}
				coded_columns(dst + h * tile_size, c, l, k, absmax, factor, planes, side);
			}
		}
}

INLINE void pack(uint16_t *dst, const struct kernels_operand *o, long lines, long depth, float scale, int planes, enum side side) {
	__m512 factor = _mm512_set1_ps(scale);
	struct coded c;
	switch (o->type) {
	case kernels_f32: pack_dense(dst, o, kernels_f32, lines, depth, factor, planes, side); return;
	case kernels_bf16: pack_dense(dst, o, kernels_bf16, lines, depth, factor, planes, side); return;
	case kernels_f16: pack_dense(dst, o, kernels_f16, lines, depth, factor, planes, side); return;
	}
	if (!o->transposed && regular(&c, o, tile_depth))
		pack_coded_lines(dst, &c, lines, depth, scale, planes, side);
	else if (o->transposed && regular(&c, o, tile_lines))
		pack_coded_columns(dst, &c, lines, depth, scale, planes, side);
	else
		for (long line = 0; line < lines; line += panel_lines)
			for (long k = 0; k < depth; k += tile_depth, dst += planes * plane_size)
				for (int h = 0; h < 2; h++) any_tile(dst + h * tile_size, o, line + h * tile_lines, k, lines, depth, scale, planes, side);
}

TARGET void kernels_amx_left(void *dst, const struct kernels_operand *o, long lines, long depth, float scale) {
	pack(dst, o, lines, depth, scale, 1, left);
}

TARGET void kernels_amx_right(void *dst, const struct kernels_operand *o, long lines, long depth, float scale) {
	pack(dst, o, lines, depth, scale, 1, right);
}

TARGET void kernels_amx3_left(void *dst, const struct kernels_operand *o, long lines, long depth, float scale) {
	pack(dst, o, lines, depth, scale, 2, left);
}

TARGET void kernels_amx3_right(void *dst, const struct kernels_operand *o, long lines, long depth, float scale) {
	pack(dst, o, lines, depth, scale, 2, right);
}

int kernels_amx_packs(void) { return (kernels_x86() & x86_avx512bf16) != 0; }
#endif
