// Products of few rows in AVX-512: a permute looks up sixteen codes.
#include "decode_rows.h"

#ifdef __x86_64__

#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")))
#define INLINE TARGET static inline __attribute__((always_inline))

typedef float element; // of X, for codes

enum { group = 16 }; // lines

static int available(void) {
	__builtin_cpu_init();
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

// Adds to the sums of the rows what a line's codes are times X.
INLINE void multiply_line(__m512 *sums, const uint8_t *code, const float *scales, const element *x, long padded, long depth, const float *values, const int rows, const int small) {
	const __m512 table = _mm512_loadu_ps(values);
	const __m512i shift = _mm512_inserti64x4(_mm512_setzero_si512(), _mm256_set1_epi32(4), 1); // odd elements are low nibbles
	__m512 sum[decode_rows];
	for (int r = 0; r < rows; r++) sum[r] = sums[r * group];
	for (long k = 0, c = 0; k < depth; k += decode_unit, c++, code += decode_unit / 2) {
		_mm_prefetch((const char *)code + ahead_codes, _MM_HINT_T0);
		const __m512i v = _mm512_srlv_epi32(_mm512_broadcast_i64x4(_mm256_loadu_si256((const void *)code)), shift);
		__m512 w[4];
		for (int i = 0; i < 4; i++) w[i] = _mm512_permutexvar_ps(_mm512_srli_epi32(v, 8 * i), table);
		const __m512 scale = small ? _mm512_mask_broadcastss_ps(_mm512_set1_ps(scales[2 * c]), 0xf0f0, _mm_load_ss(scales + 2 * c + 1)) : _mm512_set1_ps(scales[c]);
		for (int r = 0; r < rows; r++) {
			const element *in = x + r * padded + k;
			__m512 part = _mm512_mul_ps(w[0], _mm512_loadu_ps(in));
			for (int i = 1; i < 4; i++) part = _mm512_fmadd_ps(w[i], _mm512_loadu_ps(in + 16 * i), part);
			sum[r] = _mm512_fmadd_ps(part, scale, sum[r]);
		}
	}
	for (int r = 0; r < rows; r++) sums[r * group] = sum[r];
}

#include "decode_groups.h"

// Returns 16 elements of a line from k on; beyond the depth they are 0.
INLINE __m512 floats(const struct kernels_operand *w, long at, long left, const int type) {
	__mmask16 some = left < 16 ? (__mmask16)((1u << left) - 1) : 0xffff;
	if (type == kernels_f32) return _mm512_maskz_loadu_ps(some, (const float *)w->data + at);
	return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(some, (const uint16_t *)w->data + at));
}

// Multiplies lines by rows of X, from elements of a type.
INLINE void dense(float *sums, long stride, const void *x, long padded, const struct kernels_operand *w, long depth, long line, const int rows, const int lines, const int type) {
	const long size = type == kernels_f32 ? 4 : 2;
	__m512 sum[8];
	for (int i = 0; i < rows * lines; i++) sum[i] = _mm512_setzero_ps();
	for (long k = 0; k < depth; k += 32)
		for (int l = 0; l < lines; l++) {
			long at = (line + l) * w->stride + k, left = depth - k;
			_mm_prefetch((const char *)w->data + at * size + ahead, _MM_HINT_T0);
			__m512 w0, w1;
			if (type == kernels_bf16) {
				__mmask32 some = left < 32 ? (1u << left) - 1 : ~0u;
				__m512i v = _mm512_maskz_loadu_epi16(some, (const uint16_t *)w->data + at);
				w0 = _mm512_castsi512_ps(_mm512_slli_epi32(v, 16));
				w1 = _mm512_castsi512_ps(_mm512_and_si512(v, _mm512_set1_epi32((int)0xffff0000)));
			} else {
				w0 = floats(w, at, left, type);
				w1 = left > 16 ? floats(w, at + 16, left - 16, type) : _mm512_setzero_ps();
			}
			for (int r = 0; r < rows; r++) {
				const float *in = (const float *)x + r * padded + k;
				__m512 *s = &sum[r * lines + l];
				*s = _mm512_fmadd_ps(w0, _mm512_loadu_ps(in), *s);
				*s = _mm512_fmadd_ps(w1, _mm512_loadu_ps(in + 16), *s);
			}
		}
	for (int r = 0; r < rows; r++)
		for (int l = 0; l < lines; l++) sums[r * stride + l] = _mm512_reduce_add_ps(sum[r * lines + l]);
}

// Multiplies lines by rows of X, from 8-bit codes. unused is there for DECODE_DOT.
INLINE void bytes(float *sums, long stride, const void *x, long padded, const struct kernels_operand *w, long depth, long line, const int rows, const int lines, const int unused) {
	(void)unused;
	__m512 sum[8];
	for (int i = 0; i < rows * lines; i++) sum[i] = _mm512_setzero_ps();
	for (long k = 0; k < depth; k += 32)
		for (int l = 0; l < lines; l++) {
			const long first = w->first + (line + l) * w->stride + k;
			const int8_t *at = (const int8_t *)w->data + first;
			_mm_prefetch((const char *)at + ahead, _MM_HINT_T0);
			const __m512 scale = _mm512_broadcastss_ps(_mm_cvtph_ps(_mm_cvtsi32_si128(w->halves[first / w->block])));
			const __m512 w0 = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)at)));
			const __m512 w1 = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)at + 1)));
			for (int r = 0; r < rows; r++) {
				const float *in = (const float *)x + r * padded + k;
				const __m512 part = _mm512_fmadd_ps(w1, _mm512_loadu_ps(in + 16), _mm512_mul_ps(w0, _mm512_loadu_ps(in)));
				sum[r * lines + l] = _mm512_fmadd_ps(part, scale, sum[r * lines + l]);
			}
		}
	for (int r = 0; r < rows; r++)
		for (int l = 0; l < lines; l++) sums[r * stride + l] = _mm512_reduce_add_ps(sum[r * lines + l]);
}

DECODE_DOT(dot_bytes, bytes, 0, 1, 1)
DECODE_DOT(dot_f32, dense, kernels_f32, 1, 1)
DECODE_DOT(dot_bf16, dense, kernels_bf16, 1, 1)
DECODE_DOT(dot_f16, dense, kernels_f16, 1, 1)

static int order(const struct kernels_operand *w, long depth) {
	if (w->type == kernels_coded) return decode_in_place(w, depth) ? decode_nibbles : decode_plain;
	return w->type == kernels_bf16 ? decode_halves : decode_plain;
}

#include "decode_choice.h"

const struct decode_kernels decode_avx512 = {.name = "avx512", .available = available, .order = order, .dot = dot};

#endif
