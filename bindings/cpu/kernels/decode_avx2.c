// Products of few rows in AVX2 and FMA: two permutes look up eight codes.
#include "decode_rows.h"

#ifdef __x86_64__

#include <immintrin.h>

#define TARGET __attribute__((target("avx2,fma,f16c")))
#define INLINE TARGET static inline __attribute__((always_inline))

static int available(void) {
	__builtin_cpu_init();
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}

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

// Multiplies lines by rows of X, from codes. In small blocks the scale changes within 64.
INLINE void codes(float *sums, long stride, const void *x, long padded, const struct kernels_operand *w, long depth, long line, const int rows, const int lines, const int small) {
	const __m256 low = _mm256_loadu_ps(w->values), high = _mm256_loadu_ps(w->values + 8);
	__m256 sum[decode_rows];
	for (int i = 0; i < rows * lines; i++) sum[i] = _mm256_setzero_ps();
	float scales[4 * decode_slab / 32];
	for (long from = 0; from < depth; from += decode_slab) {
		long to = depth - from < decode_slab ? depth : from + decode_slab, first = w->first + line * w->stride + from;
		const uint8_t *code = (const uint8_t *)w->data + first / 2;
		const long apart = (to - from) / (small ? 32 : decode_unit);
		decode_slab_scales(scales, NULL, w, depth, line, lines, from, to, small);
		for (long k = from, c = 0; k < to; k += decode_unit, c++, code += decode_unit / 2)
			for (int l = 0; l < lines; l++) {
				_mm_prefetch((const char *)code + l * w->stride / 2 + ahead, _MM_HINT_T0);
				__m256i v = _mm256_loadu_si256((const void *)(code + l * w->stride / 2));
				__m256 part[decode_rows];
				for (int j = 0; j < 4; j++) {
					__m256 odd = look_up(_mm256_srli_epi32(v, 8 * j), low, high), even = look_up(_mm256_srli_epi32(v, 8 * j + 4), low, high);
					for (int r = 0; r < rows; r++) {
						const float *in = (const float *)x + r * padded + k + 16 * j;
						part[r] = j ? _mm256_fmadd_ps(odd, _mm256_loadu_ps(in), part[r]) : _mm256_mul_ps(odd, _mm256_loadu_ps(in));
						part[r] = _mm256_fmadd_ps(even, _mm256_loadu_ps(in + 8), part[r]);
					}
				}
				__m256 scale = small ? _mm256_setr_m128(_mm_set1_ps(scales[l * apart + 2 * c]), _mm_set1_ps(scales[l * apart + 2 * c + 1])) : _mm256_set1_ps(scales[l * apart + c]);
				for (int r = 0; r < rows; r++) sum[r * lines + l] = _mm256_fmadd_ps(part[r], scale, sum[r * lines + l]);
			}
	}
	for (int r = 0; r < rows; r++)
		for (int l = 0; l < lines; l++) sums[r * stride + l] = total(sum[r * lines + l]);
}

// Reads 32 elements of a line, of which left are its own; the others are 0. The order of X
// is the type's.
INLINE void widen(__m256 in[4], const char *at, long left, const int type) {
	const long size = type == kernels_f32 ? 4 : 2;
	char rest[32 * sizeof(float)] = {0};
	if (left < 32) {
		__builtin_memcpy(rest, at, (size_t)(left * size));
		at = rest;
	}
	for (int i = 0; i < 4; i++) {
		if (type == kernels_bf16) {
			__m256i v = _mm256_loadu_si256((const __m256i *)at + i % 2);
			in[i] = _mm256_castsi256_ps(i < 2 ? _mm256_slli_epi32(v, 16) : _mm256_and_si256(v, _mm256_set1_epi32((int)0xffff0000)));
		} else {
			in[i] = type == kernels_f32 ? _mm256_loadu_ps((const float *)at + 8 * i) : _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)at + i));
		}
	}
}

// Multiplies lines by rows of X, from elements of a type.
INLINE void dense(float *sums, long stride, const void *x, long padded, const struct kernels_operand *w, long depth, long line, const int rows, const int lines, const int type) {
	const long size = type == kernels_f32 ? 4 : 2;
	__m256 sum[decode_rows];
	for (int i = 0; i < rows * lines; i++) sum[i] = _mm256_setzero_ps();
	for (long k = 0; k < depth; k += 32)
		for (int l = 0; l < lines; l++) {
			const char *at = (const char *)w->data + ((line + l) * w->stride + k) * size;
			__m256 in[4];
			_mm_prefetch(at + ahead, _MM_HINT_T0);
			widen(in, at, depth - k, type);
			for (int r = 0; r < rows; r++)
				for (int i = 0; i < 4; i++) sum[r * lines + l] = _mm256_fmadd_ps(in[i], _mm256_loadu_ps((const float *)x + r * padded + k + 8 * i), sum[r * lines + l]);
		}
	for (int r = 0; r < rows; r++)
		for (int l = 0; l < lines; l++) sums[r * stride + l] = total(sum[r * lines + l]);
}

// Multiplies lines by rows of X, from 8-bit codes. unused is there for DECODE_DOT.
INLINE void bytes(float *sums, long stride, const void *x, long padded, const struct kernels_operand *w, long depth, long line, const int rows, const int lines, const int unused) {
	(void)unused;
	__m256 sum[decode_rows];
	for (int i = 0; i < rows * lines; i++) sum[i] = _mm256_setzero_ps();
	for (long k = 0; k < depth; k += 32)
		for (int l = 0; l < lines; l++) {
			const long first = w->first + (line + l) * w->stride + k;
			const int8_t *at = (const int8_t *)w->data + first;
			const __m256 scale = _mm256_broadcastss_ps(_mm_cvtph_ps(_mm_cvtsi32_si128(w->halves[first / w->block])));
			__m256 in[4];
			_mm_prefetch((const char *)at + ahead, _MM_HINT_T0);
			for (int i = 0; i < 4; i++) in[i] = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(at + 8 * i))));
			for (int r = 0; r < rows; r++) {
				const float *row = (const float *)x + r * padded + k;
				__m256 part = _mm256_mul_ps(in[0], _mm256_loadu_ps(row));
				for (int i = 1; i < 4; i++) part = _mm256_fmadd_ps(in[i], _mm256_loadu_ps(row + 8 * i), part);
				sum[r * lines + l] = _mm256_fmadd_ps(part, scale, sum[r * lines + l]);
			}
		}
	for (int r = 0; r < rows; r++)
		for (int l = 0; l < lines; l++) sums[r * stride + l] = total(sum[r * lines + l]);
}

DECODE_DOT(dot_codes, codes, 0, 2, 1)
DECODE_DOT(dot_small_blocks, codes, 1, 2, 1)
DECODE_DOT(dot_bytes, bytes, 0, 1, 1)
DECODE_DOT(dot_f32, dense, kernels_f32, 1, 1)
DECODE_DOT(dot_bf16, dense, kernels_bf16, 1, 1)
DECODE_DOT(dot_f16, dense, kernels_f16, 1, 1)

static int order(const struct kernels_operand *w, long depth) {
	if (w->type == kernels_coded) return decode_in_place(w, depth) ? decode_nibbles : decode_plain;
	return w->type == kernels_bf16 ? decode_halves : decode_plain;
}

#include "decode_choice.h"

const struct decode_kernels decode_avx2 = {.name = "avx2", .available = available, .order = order, .dot = dot};

#endif
