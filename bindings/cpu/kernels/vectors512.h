// What the packing of all families of 512 bits shares. The file that includes it defines
// TARGET, the attribute of every function, with AVX512F, BW and VL.
#ifndef VECTORS512_H
#define VECTORS512_H

#include "kernels.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline)) TARGET

enum { lanes = 16 }; // words of a vector

INLINE __mmask16 first_lanes(long n) { return n >= lanes ? 0xffff : n > 0 ? (__mmask16)((1u << n) - 1) : 0; }

INLINE __m512 from_bf16(__m256i half) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16)); }

// Returns the elements at[0..16) that m selects, the rest zero.
INLINE __m512 load(int type, const void *data, long at, __mmask16 m) {
	if (type == kernels_f32) return _mm512_maskz_loadu_ps(m, (const char *)data + 4 * at);
	__m256i half = _mm256_maskz_loadu_epi16(m, (const char *)data + 2 * at);
	return type == kernels_bf16 ? from_bf16(half) : _mm512_cvtph_ps(half);
}

// Transposes 16 x 16 words.
INLINE void transpose_words(__m512i r[lanes]) {
	__m512i t[lanes];
	for (int i = 0; i < lanes; i += 4) {
		__m512i a = _mm512_unpacklo_epi32(r[i], r[i + 1]), b = _mm512_unpackhi_epi32(r[i], r[i + 1]);
		__m512i c = _mm512_unpacklo_epi32(r[i + 2], r[i + 3]), d = _mm512_unpackhi_epi32(r[i + 2], r[i + 3]);
		t[i] = _mm512_unpacklo_epi64(a, c);
		t[i + 1] = _mm512_unpackhi_epi64(a, c);
		t[i + 2] = _mm512_unpacklo_epi64(b, d);
		t[i + 3] = _mm512_unpackhi_epi64(b, d);
	}
	for (int i = 0; i < 4; i++) {
		__m512i a = _mm512_shuffle_i32x4(t[i], t[i + 4], 0x88), b = _mm512_shuffle_i32x4(t[i], t[i + 4], 0xdd);
		__m512i c = _mm512_shuffle_i32x4(t[i + 8], t[i + 12], 0x88), d = _mm512_shuffle_i32x4(t[i + 8], t[i + 12], 0xdd);
		r[i] = _mm512_shuffle_i32x4(a, c, 0x88);
		r[i + 8] = _mm512_shuffle_i32x4(a, c, 0xdd);
		r[i + 4] = _mm512_shuffle_i32x4(b, d, 0x88);
		r[i + 12] = _mm512_shuffle_i32x4(b, d, 0xdd);
	}
}

// Returns pairs of 16 words from the halves of x: word i with word 16 + i.
INLINE __m512i interleaved(__m512i x) {
	const __m512i interleave = _mm512_set_epi32(0x1f000f, 0x1e000e, 0x1d000d, 0x1c000c, 0x1b000b, 0x1a000a, 0x190009, 0x180008,
	                                            0x170007, 0x160006, 0x150005, 0x140004, 0x130003, 0x120002, 0x110001, 0x100000);
	return _mm512_permutexvar_epi16(interleave, x);
}

#endif
