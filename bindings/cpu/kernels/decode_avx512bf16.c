// Products of few rows in AVX512-BF16: a permute looks up 32 codes, and an instruction
// multiplies 32 pairs. The values of codes are rounded to bfloat16, and multiplied by their
// scale in float32 afterwards.
#include "decode_rows.h"

#ifdef __x86_64__

#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")))
#define INLINE TARGET static inline __attribute__((always_inline))

static int available(void) { return decode_avx512.available() && __builtin_cpu_supports("avx512bf16"); }

static int order(const struct kernels_operand *w, long depth) {
	if (w->type == kernels_coded) return decode_in_place(w, depth) ? decode_words : decode_plain;
	return w->type == kernels_bf16 ? decode_bf16 : decode_avx512.order(w, depth);
}

INLINE __m512bh halves(const void *p) { return (__m512bh)_mm512_loadu_si512(p); }

// Multiplies lines by rows of X, from codes. In small blocks the scale changes within 64.
INLINE void codes(float *sums, long stride, const void *x, long padded, const struct kernels_operand *w, long depth, long line, const int rows, const int lines, const int small) {
	const __m512i value = _mm512_castsi256_si512((__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(w->values)));
	const __m512i values = _mm512_inserti64x4(value, _mm512_castsi512_si256(value), 1); // a code's fifth bit is the next code's
	const __m512i shift = _mm512_inserti64x4(_mm512_setzero_si512(), _mm256_set1_epi16(4), 1); // odd elements are low nibbles
	const __mmask16 second = 0xf0f0;
	__m512 sum[decode_rows];
	for (int i = 0; i < rows * lines; i++) sum[i] = _mm512_setzero_ps();
	float scales[4 * decode_slab / 32];
	for (long from = 0; from < depth; from += decode_slab) {
		long to = depth - from < decode_slab ? depth : from + decode_slab, first = w->first + line * w->stride + from;
		const uint8_t *code = (const uint8_t *)w->data + first / 2;
		const long apart = (to - from) / (small ? 32 : decode_unit);
		decode_slab_scales(scales, w, depth, line, lines, from, to, small);
		for (long k = from, c = 0; k < to; k += decode_unit, c++, code += decode_unit / 2)
			for (int l = 0; l < lines; l++) {
				_mm_prefetch((const char *)code + l * w->stride / 2 + ahead, _MM_HINT_T0);
				__m512i v = _mm512_srlv_epi16(_mm512_broadcast_i64x4(_mm256_loadu_si256((const void *)(code + l * w->stride / 2))), shift);
				__m512bh w0 = (__m512bh)_mm512_permutexvar_epi16(v, values), w1 = (__m512bh)_mm512_permutexvar_epi16(_mm512_srli_epi16(v, 8), values);
				__m512 scale = small ? _mm512_mask_blend_ps(second, _mm512_set1_ps(scales[l * apart + 2 * c]), _mm512_set1_ps(scales[l * apart + 2 * c + 1])) : _mm512_set1_ps(scales[l * apart + c]);
				for (int r = 0; r < rows; r++) {
					const uint16_t *in = (const uint16_t *)x + r * padded + k;
					__m512 part = _mm512_dpbf16_ps(_mm512_setzero_ps(), w0, halves(in));
					part = _mm512_dpbf16_ps(part, w1, halves(in + 32));
					sum[r * lines + l] = _mm512_fmadd_ps(part, scale, sum[r * lines + l]);
				}
			}
	}
	for (int r = 0; r < rows; r++)
		for (int l = 0; l < lines; l++) sums[r * stride + l] = _mm512_reduce_add_ps(sum[r * lines + l]);
}

// Multiplies lines by rows of X, from bfloat16. unused is there for DECODE_DOT.
INLINE void dense(float *sums, long stride, const void *x, long padded, const struct kernels_operand *w, long depth, long line, const int rows, const int lines, const int unused) {
	(void)unused;
	__m512 sum[decode_rows];
	for (int i = 0; i < rows * lines; i++) sum[i] = _mm512_setzero_ps();
	for (long k = 0; k < depth; k += 32) {
		__mmask32 some = depth - k < 32 ? (1u << (depth - k)) - 1 : ~0u;
		for (int l = 0; l < lines; l++) {
			const uint16_t *at = (const uint16_t *)w->data + (line + l) * w->stride + k;
			_mm_prefetch((const char *)at + ahead, _MM_HINT_T0);
			__m512bh v = (__m512bh)_mm512_maskz_loadu_epi16(some, at);
			for (int r = 0; r < rows; r++) sum[r * lines + l] = _mm512_dpbf16_ps(sum[r * lines + l], v, halves((const uint16_t *)x + r * padded + k));
		}
	}
	for (int r = 0; r < rows; r++)
		for (int l = 0; l < lines; l++) sums[r * stride + l] = _mm512_reduce_add_ps(sum[r * lines + l]);
}

DECODE_DOT(dot_codes, codes, 0, 4, 2)
DECODE_DOT(dot_small_blocks, codes, 1, 4, 2)
DECODE_DOT(dot_bf16, dense, 0, 1, 1)

static void dot(float *sums, long stride, const void *x, long padded, int rows, const struct kernels_operand *w, long depth, long from, long to) {
	switch (order(w, depth)) {
	case decode_words: (w->block == 32 ? dot_small_blocks : dot_codes)(sums, stride, x, padded, rows, w, depth, from, to); return;
	case decode_bf16: dot_bf16(sums, stride, x, padded, rows, w, depth, from, to); return;
	}
	decode_avx512.dot(sums, stride, x, padded, rows, w, depth, from, to);
}

const struct decode_kernels decode_avx512bf16 = {.name = "avx512bf16", .bf16 = 1, .available = available, .order = order, .dot = dot};

#endif
