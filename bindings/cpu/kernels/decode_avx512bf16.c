// Products of few rows in AVX512-BF16: a permute looks up 32 codes, and an instruction
// multiplies 32 pairs. The values of codes are rounded to bfloat16, and multiplied by their
// scale in float32 afterwards.
#include "decode_rows.h"

#ifdef __x86_64__

#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")))
#define INLINE TARGET static inline __attribute__((always_inline))

typedef uint16_t element; // of X, for codes

// A vector of codes takes less time than the first cache needs to fetch it from memory: it has
// too few lines under way. The second one fetches them before. (With 1024 and 8192 bytes in place
// of 4096 and 8192, the products of a token of 135M take 2.8 ms, not 2.4.)
enum { near_ahead = 4096, far_ahead = 8192 };

enum {
	wide = 2 * decode_unit, // elements of a line that are decoded together
	group = 16,             // lines
};

static int available(void) { return decode_avx512.available() && __builtin_cpu_supports("avx512bf16"); }

static int order(const struct kernels_operand *w, long depth) {
	if (w->type == kernels_coded) return decode_in_place(w, depth) ? decode_words : decode_plain;
	return w->type == kernels_bf16 ? decode_bf16 : decode_avx512.order(w, depth);
}

INLINE __m512bh halves(const void *p) { return (__m512bh)_mm512_loadu_si512(p); }

// Adds to the sums of the rows what a line's codes are times X.
INLINE void multiply_line(__m512 *sums, const uint8_t *code, const float *scales, const element *x, long padded, long depth, const float *values, const int rows, const int small) {
	const __m512i value = _mm512_castsi256_si512((__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(values)));
	const __m512i table = _mm512_inserti64x4(value, _mm512_castsi512_si256(value), 1); // a code's fifth bit is the next code's
	const __m512i quarters = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
	__m512 sum[decode_rows];
	for (int r = 0; r < rows; r++) sum[r] = sums[r * group];
	long k = 0, c = 0;
	for (; k + wide <= depth; k += wide, c += small ? 4 : 2) {
		_mm_prefetch((const char *)code + k / 2 + near_ahead, _MM_HINT_T0);
		_mm_prefetch((const char *)code + k / 2 + far_ahead, _MM_HINT_T1);
		const __m512i v = _mm512_loadu_si512(code + k / 2);
		__m512bh w[4];
		for (int i = 0; i < 4; i++) w[i] = (__m512bh)_mm512_permutexvar_epi16(_mm512_srli_epi16(v, 4 * i), table);
		const __m512 scale = small ? _mm512_permutexvar_ps(quarters, _mm512_castps128_ps512(_mm_loadu_ps(scales + c))) : _mm512_mask_broadcastss_ps(_mm512_set1_ps(scales[c]), 0xff00, _mm_load_ss(scales + c + 1));
		for (int r = 0; r < rows; r++) {
			const element *in = x + r * padded + k;
			__m512 part = _mm512_dpbf16_ps(_mm512_setzero_ps(), w[0], halves(in));
			for (int i = 1; i < 4; i++) part = _mm512_dpbf16_ps(part, w[i], halves(in + 32 * i));
			sum[r] = _mm512_fmadd_ps(part, scale, sum[r]);
		}
	}
	if (k < depth) {
		const __m512i shift = _mm512_inserti64x4(_mm512_setzero_si512(), _mm256_set1_epi16(4), 1);
		const __m512i v = _mm512_srlv_epi16(_mm512_broadcast_i64x4(_mm256_loadu_si256((const void *)(code + k / 2))), shift);
		const __m512bh w0 = (__m512bh)_mm512_permutexvar_epi16(v, table), w1 = (__m512bh)_mm512_permutexvar_epi16(_mm512_srli_epi16(v, 8), table);
		const __m512 scale = small ? _mm512_mask_blend_ps(0xf0f0, _mm512_set1_ps(scales[c]), _mm512_set1_ps(scales[c + 1])) : _mm512_set1_ps(scales[c]);
		for (int r = 0; r < rows; r++) {
			const element *in = x + r * padded + k;
			__m512 part = _mm512_dpbf16_ps(_mm512_setzero_ps(), w0, halves(in));
			part = _mm512_dpbf16_ps(part, w1, halves(in + 32));
			sum[r] = _mm512_fmadd_ps(part, scale, sum[r]);
		}
	}
	for (int r = 0; r < rows; r++) sums[r * group] = sum[r];
}

#include "decode_groups.h"

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
