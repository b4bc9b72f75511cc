// Products of few rows in AVX2 and FMA: two permutes look up eight codes.
#include "decode.h"

#ifdef __x86_64__

#include <immintrin.h>

#define TARGET __attribute__((target("avx2,fma,f16c")))
#define INLINE TARGET static inline __attribute__((always_inline))

static int available(void) {
	__builtin_cpu_init();
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}

// in_place reports whether 32 elements of any line are in one block.
static int in_place(const struct kernels_operand *w, long depth) {
	return depth % decode_unit == 0 && w->stride % decode_unit == 0 && w->first % decode_unit == 0 && (w->block == 32 || w->block % decode_unit == 0);
}

static int order(const struct kernels_operand *w, long depth) {
	if (w->type == kernels_coded) return in_place(w, depth) ? decode_nibbles : decode_plain;
	return w->type == kernels_bf16 ? decode_halves : decode_plain;
}

enum {
	slab = 4096,  // elements of a line whose scales are computed ahead
	ahead = 4096, // bytes between a read of dense elements and its prefetch
};

// Returns the values of the codes in the low bits of v.
INLINE __m256 look_up(__m256i v, __m256 low, __m256 high) {
	__m256 below = _mm256_permutevar8x32_ps(low, v), above = _mm256_permutevar8x32_ps(high, v);
	return _mm256_blendv_ps(below, above, _mm256_castsi256_ps(_mm256_slli_epi32(v, 28)));
}

INLINE float total(__m256 v) {
	__m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
	s = _mm_add_ps(s, _mm_movehl_ps(s, s));
	return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

// Multiplies a line by rows of X, from codes. With halves the scale changes within 64.
INLINE void codes(float *sums, long stride, const float *x, long padded, const struct kernels_operand *w, long depth, long line, const int rows, const int halves) {
	const __m256 low = _mm256_loadu_ps(w->values), high = _mm256_loadu_ps(w->values + 8);
	__m256 sum[decode_rows];
	for (int r = 0; r < rows; r++) sum[r] = _mm256_setzero_ps();
	float scales[slab / 32];
	for (long from = 0; from < depth; from += slab) {
		long to = depth - from < slab ? depth : from + slab, first = w->first + line * w->stride + from;
		const uint8_t *code = (const uint8_t *)w->data + first / 2;
		decode_scales(scales, w, first, halves ? 32 : decode_unit, (to - from) / (halves ? 32 : decode_unit));
		for (long k = from, c = 0; k < to; k += decode_unit, c++, code += decode_unit / 2) {
			__m256i v = _mm256_loadu_si256((const void *)code);
			__m256 part[decode_rows];
			for (int j = 0; j < 4; j++) {
				__m256 odd = look_up(_mm256_srli_epi32(v, 8 * j), low, high), even = look_up(_mm256_srli_epi32(v, 8 * j + 4), low, high);
				for (int r = 0; r < rows; r++) {
					const float *in = x + r * padded + k + 16 * j;
					part[r] = j ? _mm256_fmadd_ps(odd, _mm256_loadu_ps(in), part[r]) : _mm256_mul_ps(odd, _mm256_loadu_ps(in));
					part[r] = _mm256_fmadd_ps(even, _mm256_loadu_ps(in + 8), part[r]);
				}
			}
			__m256 scale = halves ? _mm256_setr_m128(_mm_set1_ps(scales[2 * c]), _mm_set1_ps(scales[2 * c + 1])) : _mm256_set1_ps(scales[c]);
			for (int r = 0; r < rows; r++) sum[r] = _mm256_fmadd_ps(part[r], scale, sum[r]);
		}
	}
	for (int r = 0; r < rows; r++) sums[r * stride] = total(sum[r]);
}

// Multiplies a line by rows of X, from elements of a type.
INLINE void dense(float *sums, long stride, const float *x, long padded, const struct kernels_operand *w, long depth, long line, const int rows, const int type) {
	const long size = type == kernels_f32 ? 4 : 2;
	__m256 sum[decode_rows];
	for (int r = 0; r < rows; r++) sum[r] = _mm256_setzero_ps();
	for (long k = 0; k < depth; k += 32) {
		const char *at = (const char *)w->data + (line * w->stride + k) * size;
		char rest[32 * sizeof(float)] = {0};
		_mm_prefetch(at + ahead, _MM_HINT_T0);
		if (depth - k < 32) {
			__builtin_memcpy(rest, at, (size_t)((depth - k) * size));
			at = rest;
		}
		__m256 in[4];
		for (int h = 0; h < 2; h++) {
			if (type == kernels_bf16) {
				__m256i v = _mm256_loadu_si256((const __m256i *)at + h);
				in[h] = _mm256_castsi256_ps(_mm256_slli_epi32(v, 16));
				in[h + 2] = _mm256_castsi256_ps(_mm256_and_si256(v, _mm256_set1_epi32((int)0xffff0000)));
				continue;
			}
			for (int i = 2 * h; i < 2 * h + 2; i++)
				in[i] = type == kernels_f32 ? _mm256_loadu_ps((const float *)at + 8 * i) : _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)at + i));
		}
		for (int r = 0; r < rows; r++)
			for (int i = 0; i < 4; i++) sum[r] = _mm256_fmadd_ps(in[i], _mm256_loadu_ps(x + r * padded + k + 8 * i), sum[r]);
	}
	for (int r = 0; r < rows; r++) sums[r * stride] = total(sum[r]);
}

#define ROWS(rows, multiply, how) \
	case rows: \
		for (; from < to; from++, sums++) multiply(sums, stride, x, padded, w, depth, from, rows, how); \
		break;

#define PRODUCT(name, multiply, how) \
	TARGET static void name(float *sums, long stride, const float *x, long padded, int rows, const struct kernels_operand *w, long depth, long from, long to) { \
		switch (rows) { \
			ROWS(1, multiply, how) \
			ROWS(2, multiply, how) \
			ROWS(3, multiply, how) \
			ROWS(4, multiply, how) \
			ROWS(5, multiply, how) \
			ROWS(6, multiply, how) \
			ROWS(7, multiply, how) \
			ROWS(8, multiply, how) \
		} \
	}

PRODUCT(dot_codes, codes, 0)
PRODUCT(dot_small_blocks, codes, 1)
PRODUCT(dot_f32, dense, kernels_f32)
PRODUCT(dot_bf16, dense, kernels_bf16)
PRODUCT(dot_f16, dense, kernels_f16)

static void dot(float *sums, long stride, const float *x, long padded, int rows, const struct kernels_operand *w, long depth, long from, long to) {
	switch (w->type) {
	case kernels_f32: dot_f32(sums, stride, x, padded, rows, w, depth, from, to); return;
	case kernels_bf16: dot_bf16(sums, stride, x, padded, rows, w, depth, from, to); return;
	case kernels_f16: dot_f16(sums, stride, x, padded, rows, w, depth, from, to); return;
	}
	if (!in_place(w, depth))
		decode_portable.dot(sums, stride, x, padded, rows, w, depth, from, to);
	else if (w->block == 32)
		dot_small_blocks(sums, stride, x, padded, rows, w, depth, from, to);
	else
		dot_codes(sums, stride, x, padded, rows, w, depth, from, to);
}

const struct decode_kernels decode_avx2 = {.name = "avx2", .available = available, .order = order, .dot = dot};

#endif
