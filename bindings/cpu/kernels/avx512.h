// The families of 512 bits: a template of one file, which defines
//
//	TARGET  the attribute of every function
//	UNIT    1: panels of float32; 2: panels of pairs of bfloat16
//
// Both have panels of 32-bit words, [depth/UNIT][lines]: a float or a pair along the depth.
#include "codes.h"
#include "vectors512.h"

enum {
	height = 14,     // words of a left panel: 28 sums, 2 vectors of the right panel and 1 factor fill the 32 registers
	width = 2 * lanes, // words of a right panel
	word = 4,        // bytes
};

#if UNIT == 2
// Returns pairs of bfloat16, rounded to nearest even; a NaN stays one, a subnormal becomes zero.
INLINE __m512i pairs(__m512 low, __m512 high) { return interleaved((__m512i)_mm512_cvtne2ps_pbh(high, low)); }
#endif

// Returns n elements (up to 16·UNIT) of a stored row from at on, times scale, as 16 words.
INLINE __m512i row(int type, const void *data, long at, long n, __m512 scale) {
#if UNIT == 2
	__m512 low = load(type, data, at, first_lanes(n)), high = load(type, data, at + lanes, first_lanes(n - lanes));
	return (__m512i)_mm512_cvtne2ps_pbh(_mm512_mul_ps(high, scale), _mm512_mul_ps(low, scale));
#else
	return _mm512_castps_si512(_mm512_mul_ps(load(type, data, at, first_lanes(n)), scale));
#endif
}

// Returns the address of words of a panel's step.
INLINE char *at_step(void *dst, long panel, long steps, long step, int panel_width) {
	return (char *)dst + ((panel * steps + step) * panel_width) * word;
}

INLINE long steps_of(long depth) { return (depth + UNIT - 1) / UNIT; }

// Packs a dense operand whose rows in memory are lines: 16 lines of 16 words at a time.
INLINE void pack_along(void *dst, int type, const struct kernels_operand *o, long lines, long depth, float scale, int panel_width) {
	long steps = steps_of(depth);
	__m512 s = _mm512_set1_ps(scale);
	for (long first = 0; first < lines; first += panel_width)
		for (int half = 0; half < panel_width; half += lanes) {
			long n = lines - first - half;
			__mmask16 columns = first_lanes(panel_width - half);
			if (n > panel_width - half) n = panel_width - half;
			for (long step = 0; step < steps; step += lanes) {
				__m512i r[lanes];
				long at = (first + half) * o->stride + step * UNIT;
				if (n >= lanes)
					for (int i = 0; i < lanes; i++) r[i] = row(type, o->data, at + i * o->stride, depth - step * UNIT, s);
				else
					for (int i = 0; i < lanes; i++) r[i] = i < n ? row(type, o->data, at + i * o->stride, depth - step * UNIT, s) : _mm512_setzero_si512();
				transpose_words(r);
				char *d = at_step(dst, first / panel_width, steps, step, panel_width) + half * word;
				int have = steps - step < lanes ? (int)(steps - step) : lanes;
				if (have == lanes)
					for (int i = 0; i < lanes; i++) _mm512_mask_storeu_epi32(d + i * panel_width * word, columns, r[i]);
				else
					for (int i = 0; i < have; i++) _mm512_mask_storeu_epi32(d + i * panel_width * word, columns, r[i]);
			}
		}
}

enum {
	group = 8,  // panels that are filled while a row in memory passes
	ahead = 32, // rows in memory whose elements are prefetched: they are too far apart for the processor
};

// Packs a dense operand whose rows in memory are steps of the depth.
INLINE void pack_across(void *dst, int type, const struct kernels_operand *o, long lines, long depth, float scale, int panel_width) {
	long steps = steps_of(depth);
	__m512 s = _mm512_set1_ps(scale);
	for (long from = 0; from < lines; from += group * panel_width) {
		long to = lines - from < group * panel_width ? lines : from + group * panel_width;
		for (long step = 0; step < steps; step++)
			for (long first = from; first < to; first += panel_width)
				for (int half = 0; half < panel_width; half += lanes) {
					long n = lines - first - half, at = step * UNIT * o->stride + first + half;
					__mmask16 columns = first_lanes(panel_width - half), m = first_lanes(n) & columns;
					_mm_prefetch((const char *)o->data + (at + ahead * o->stride) * (type == kernels_f32 ? 4 : 2), _MM_HINT_T0);
					__m512 x = _mm512_mul_ps(load(type, o->data, at, m), s);
#if UNIT == 2
					_mm_prefetch((const char *)o->data + (at + (ahead + 1) * o->stride) * (type == kernels_f32 ? 4 : 2), _MM_HINT_T0);
					__m512 next = step * 2 + 1 < depth ? _mm512_mul_ps(load(type, o->data, at + o->stride, m), s) : _mm512_setzero_ps();
					__m512i words = pairs(x, next);
#else
					__m512i words = _mm512_castps_si512(x);
#endif
					_mm512_mask_storeu_epi32(at_step(dst, first / panel_width, steps, step, panel_width) + half * word, columns, words);
				}
	}
}

INLINE void pack_dense(void *dst, int type, const struct kernels_operand *o, long lines, long depth, float scale, int panel_width) {
	if (o->transposed)
		pack_across(dst, type, o, lines, depth, scale, panel_width);
	else
		pack_along(dst, type, o, lines, depth, scale, panel_width);
}

TARGET static void pack_left(void *dst, const struct kernels_operand *o, long lines, long depth, float scale) {
	switch (o->type) {
	case kernels_f32: pack_dense(dst, kernels_f32, o, lines, depth, scale, height); break;
	case kernels_bf16: pack_dense(dst, kernels_bf16, o, lines, depth, scale, height); break;
	case kernels_f16: pack_dense(dst, kernels_f16, o, lines, depth, scale, height); break;
	default: kernels_pack(dst, o, lines, depth, scale, height, UNIT, UNIT == 2);
	}
}

// Returns the scales of 16 lines at elements at + i·stride, times scale, zero from line n on.
INLINE __m512 scales_of(const struct kernels_scales *s, long at, long stride, int n, float scale) {
	float x[lanes] = {0};
	for (int i = 0; i < n; i++) x[i] = kernels_scale(s, at + i * stride) * scale;
	return _mm512_loadu_ps(x);
}

// Transposes 16 rows of 64 bytes in lanes of 16: byte 16·q + i of row j becomes byte
// 16·q + j of row i.
INLINE void transpose_bytes(__m512i r[lanes]) {
	__m512i t[lanes];
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < lanes / 2; i++) {
			t[2 * i] = _mm512_unpacklo_epi8(r[i], r[i + 8]);
			t[2 * i + 1] = _mm512_unpackhi_epi8(r[i], r[i + 8]);
		}
		for (int i = 0; i < lanes / 2; i++) {
			r[2 * i] = _mm512_unpacklo_epi8(t[i], t[i + 8]);
			r[2 * i + 1] = _mm512_unpackhi_epi8(t[i], t[i + 8]);
		}
	}
}

// Packs codes whose rows in memory are lines: 16 lines of 64 bytes at a time.
TARGET static void codes_along(void *dst, const struct kernels_operand *o, long lines, long depth, float scale) {
	enum { bytes = 64, elements = 2 * bytes };
	const struct kernels_scales s = kernels_scales(o);
	__m512 values = _mm512_loadu_ps(o->values);
	long steps = steps_of(depth);
	for (long first = 0; first < lines; first += lanes) {
		int n = lines - first < lanes ? (int)(lines - first) : lanes;
		char *panel = at_step(dst, first / width, steps, 0, width) + first % width * word;
		for (long from = 0; from < depth; from += elements) {
			__m512i r[lanes];
			uint8_t columns[lanes][bytes] __attribute__((aligned(64)));
			long left = (depth - from + 1) / 2, at = o->first + first * o->stride + from;
			__mmask64 m = left >= bytes ? ~0ull : (1ull << left) - 1;
			for (int i = 0; i < lanes; i++) r[i] = i < n ? _mm512_maskz_loadu_epi8(m, (const uint8_t *)o->data + (at + i * o->stride) / 2) : _mm512_setzero_si512();
			transpose_bytes(r);
			for (int i = 0; i < lanes; i++) _mm512_store_si512(columns[i], r[i]);
			__m512 scales = _mm512_setzero_ps();
			for (int part = 0; part < elements / kernels_codes && from + part * kernels_codes < depth; part++) {
				long k = from + part * kernels_codes;
				// A block's scale serves until the next block begins, if it begins for all lines at once.
				if (part == 0 || o->stride % o->block != 0 || (o->first + k) % o->block == 0)
					scales = scales_of(&s, at + part * kernels_codes, o->stride, n, scale);
				char *d = panel + k / UNIT * width * word;
				for (int j = 0; j < kernels_codes / 2 && k + 2 * j < depth; j++, d += 2 / UNIT * width * word) {
					__m512i q = _mm512_cvtepu8_epi32(_mm_load_si128((const __m128i *)(columns[j] + part * lanes)));
					__m512 even = _mm512_mul_ps(_mm512_permutexvar_ps(_mm512_srli_epi32(q, 4), values), scales);
					__m512 odd = _mm512_mul_ps(_mm512_permutexvar_ps(q, values), scales);
#if UNIT == 2
					if (k + 2 * j + 1 >= depth) odd = _mm512_setzero_ps();
					_mm512_storeu_si512(d, pairs(even, odd));
#else
					_mm512_storeu_ps(d, even);
					if (k + 2 * j + 1 < depth) _mm512_storeu_ps(d + width * word, odd);
#endif
				}
			}
		}
		// The half of a last panel that has no lines.
		if (first + lanes >= lines && first % width == 0)
			for (long step = 0; step < steps; step++) _mm512_storeu_si512(panel + (step * width + lanes) * word, _mm512_setzero_si512());
	}
}

// Returns 32 codes of a row, the values of those below n.
INLINE void decode(__m512 out[2], const uint8_t *codes, long n, __m512 values, __m512 scale) {
	__m128i low = _mm_maskz_loadu_epi8(first_lanes((n + 1) / 2), codes), high = _mm_srli_epi16(low, 4);
	out[0] = _mm512_maskz_mul_ps(first_lanes(n), _mm512_permutexvar_ps(_mm512_cvtepu8_epi32(_mm_unpacklo_epi8(high, low)), values), scale);
	out[1] = _mm512_maskz_mul_ps(first_lanes(n - lanes), _mm512_permutexvar_ps(_mm512_cvtepu8_epi32(_mm_unpackhi_epi8(high, low)), values), scale);
}

// Packs codes whose rows in memory are steps of the depth.
TARGET static void codes_across(void *dst, const struct kernels_operand *o, long lines, long depth, float scale) {
	const struct kernels_scales s = kernels_scales(o);
	__m512 values = _mm512_loadu_ps(o->values);
	long steps = steps_of(depth);
	for (long from = 0; from < lines; from += group * width) {
		long to = lines - from < group * width ? lines : from + group * width;
		for (long step = 0; step < steps; step++)
			for (long first = from; first < to; first += width) {
				__m512 x[UNIT][2];
				for (int u = 0; u < UNIT; u++) {
					if (step * UNIT + u >= depth) {
						x[u][0] = x[u][1] = _mm512_setzero_ps();
						continue;
					}
					long at = o->first + (step * UNIT + u) * o->stride + first;
					_mm_prefetch((const char *)o->data + (at + ahead * o->stride) / 2, _MM_HINT_T0);
					decode(x[u], (const uint8_t *)o->data + at / 2, lines - first, values, _mm512_set1_ps(kernels_scale(&s, at) * scale));
				}
				char *d = at_step(dst, first / width, steps, step, width);
				for (int half = 0; half < 2; half++)
#if UNIT == 2
					_mm512_storeu_si512(d + half * lanes * word, pairs(x[0][half], x[1][half]));
#else
					_mm512_storeu_ps(d + half * lanes * word, x[0][half]);
#endif
			}
	}
}

TARGET static void pack_right(void *dst, const struct kernels_operand *o, long lines, long depth, float scale) {
	switch (o->type) {
	case kernels_f32: pack_dense(dst, kernels_f32, o, lines, depth, scale, width); break;
	case kernels_bf16: pack_dense(dst, kernels_bf16, o, lines, depth, scale, width); break;
	case kernels_f16: pack_dense(dst, kernels_f16, o, lines, depth, scale, width); break;
	default:
		if (!kernels_whole_blocks(o))
			kernels_pack(dst, o, lines, depth, scale, width, UNIT, UNIT == 2);
		else if (o->transposed)
			codes_across(dst, o, lines, depth, scale);
		else
			codes_along(dst, o, lines, depth, scale);
	}
}

// Adds x·y to sum, lane by lane. In assembly, so that x stays in a register for two of them.
INLINE void multiply_add(__m512 *sum, __m512 x, __m512 y) {
#if UNIT == 2
	__asm__ volatile("vdpbf16ps %2, %1, %0" : "+v"(*sum) : "v"(x), "v"(y));
#else
	__asm__ volatile("vfmadd231ps %2, %1, %0" : "+v"(*sum) : "v"(x), "v"(y));
#endif
}

// Computes sums of rows lines of a left panel (a constant) and vectors vectors of a right one
// (a constant), and stores those of the first live lines. columns selects the lanes of the
// last vector.
INLINE void tile(int rows, int vectors, long live, float *sums, long stride, const float *left, const float *right, long steps, __mmask16 columns, int accumulate) {
	__m512 sum[height][2];
	_Pragma("GCC unroll 14") for (int r = 0; r < rows; r++) {
		sum[r][0] = sum[r][1] = _mm512_setzero_ps();
		_mm_prefetch((const char *)(sums + r * stride), _MM_HINT_T0);
		_mm_prefetch((const char *)(sums + r * stride + lanes), _MM_HINT_T0);
	}
	for (long k = 0; k < steps; k++, left += height, right += width) {
		__m512 y0 = _mm512_loadu_ps(right), y1 = _mm512_loadu_ps(right + lanes);
		_mm_prefetch((const char *)(left + height * steps), _MM_HINT_T0); // the next panel
		_Pragma("GCC unroll 14") for (int r = 0; r < rows; r++) {
			__m512 x = _mm512_set1_ps(left[r]);
			multiply_add(&sum[r][0], x, y0);
			if (vectors == 2) multiply_add(&sum[r][1], x, y1);
		}
	}
	_Pragma("GCC unroll 14") for (int r = 0; r < rows; r++) {
		if (r >= live) break;
		float *d = sums + r * stride;
		__mmask16 m = vectors == 2 ? 0xffff : columns;
		if (accumulate) sum[r][0] = _mm512_add_ps(sum[r][0], _mm512_maskz_loadu_ps(m, d));
		_mm512_mask_storeu_ps(d, m, sum[r][0]);
		if (vectors == 1) continue;
		if (accumulate) sum[r][1] = _mm512_add_ps(sum[r][1], _mm512_maskz_loadu_ps(columns, d + lanes));
		_mm512_mask_storeu_ps(d + lanes, columns, sum[r][1]);
	}
}

INLINE void tiles(int vectors, long live, float *sums, long stride, const float *left, const float *right, long steps, __mmask16 columns, int accumulate) {
	if (live > 8)
		tile(height, vectors, live, sums, stride, left, right, steps, columns, accumulate);
	else if (live > 4)
		tile(8, vectors, live, sums, stride, left, right, steps, columns, accumulate);
	else if (live > 1)
		tile(4, vectors, live, sums, stride, left, right, steps, columns, accumulate);
	else
		tile(1, vectors, live, sums, stride, left, right, steps, columns, accumulate);
}

// A right panel of a slice stays in the first cache while the left panels pass.
TARGET static void multiply(float *sums, long stride, const void *left, const void *right, long rows, long cols, long depth, int accumulate) {
	long steps = steps_of(depth);
	for (long j = 0; j < cols; j += width) {
		const float *b = (const float *)right + j * steps;
		long n = cols - j;
		for (long i = 0; i < rows; i += height) {
			const float *a = (const float *)left + i * steps;
			if (n > lanes)
				tiles(2, rows - i, sums + i * stride + j, stride, a, b, steps, first_lanes(n - lanes), accumulate);
			else
				tiles(1, rows - i, sums + i * stride + j, stride, a, b, steps, first_lanes(n), accumulate);
		}
	}
}

TARGET static double spin(long rounds) {
	enum { chains = 16 };
	__m512 sum[chains], x = _mm512_setzero_ps();
	_Pragma("GCC unroll 16") for (int i = 0; i < chains; i++) sum[i] = x;
	for (long n = 0; n < rounds; n++)
		_Pragma("GCC unroll 16") for (int i = 0; i < chains; i++) multiply_add(&sum[i], x, x);
	return 2.0 * lanes * UNIT * chains * (double)rounds;
}
