// Products in float32 with vectors of 256 bits.
#include "kernels.h"

#ifdef __x86_64__

#include <immintrin.h>
#include <string.h>

#include "codes.h"
#include "x86.h"

#define TARGET __attribute__((target("avx2,fma,f16c")))
#define INLINE static inline __attribute__((always_inline)) TARGET

enum {
	lanes = 8,
	height = 6,        // lines of a left panel: 12 sums, 2 vectors of the right panel and 1 factor fit in the 16 registers
	width = 2 * lanes, // lines of a right panel
	group = 16,        // panels that are filled while a row in memory passes
	ahead = 32,        // rows in memory whose elements are prefetched: they are too far apart for the processor
};

// Returns 8 16-bit elements in float32.
INLINE __m256 widen(int type, __m128i x) {
	return type == kernels_bf16 ? _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16)) : _mm256_cvtph_ps(x);
}

// Returns the elements at[0..n) of up to 8, the rest zero.
INLINE __m256 load(int type, const void *data, long at, long n) {
	if (n >= lanes) {
		if (type == kernels_f32) return _mm256_loadu_ps((const float *)data + at);
		return widen(type, _mm_loadu_si128((const __m128i *)((const uint16_t *)data + at)));
	}
	const __m256i number = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
	if (type == kernels_f32) return _mm256_maskload_ps((const float *)data + at, _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), number));
	const uint16_t *from = (const uint16_t *)data + at;
	if (n == height) {
		int32_t last;
		memcpy(&last, from + 4, sizeof last);
		return widen(type, _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)from), _mm_cvtsi32_si128(last)));
	}
	uint16_t part[lanes] = {0};
	for (long i = 0; i < n; i++) part[i] = from[i];
	return widen(type, _mm_loadu_si128((const __m128i *)part));
}

INLINE void transpose(__m256 r[lanes]) {
	__m256 t[lanes];
	for (int i = 0; i < lanes; i += 4) {
		__m256d a = _mm256_castps_pd(_mm256_unpacklo_ps(r[i], r[i + 1])), b = _mm256_castps_pd(_mm256_unpackhi_ps(r[i], r[i + 1]));
		__m256d c = _mm256_castps_pd(_mm256_unpacklo_ps(r[i + 2], r[i + 3])), d = _mm256_castps_pd(_mm256_unpackhi_ps(r[i + 2], r[i + 3]));
		t[i] = _mm256_castpd_ps(_mm256_unpacklo_pd(a, c));
		t[i + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(a, c));
		t[i + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(b, d));
		t[i + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(b, d));
	}
	for (int i = 0; i < 4; i++) {
		r[i] = _mm256_permute2f128_ps(t[i], t[i + 4], 0x20);
		r[i + 4] = _mm256_permute2f128_ps(t[i], t[i + 4], 0x31);
	}
}

// Stores 8 lanes, or those of a left panel.
INLINE void store(float *d, __m256 x, int panel) {
	if (panel == width) {
		_mm256_storeu_ps(d, x);
		return;
	}
	_mm_storeu_ps(d, _mm256_castps256_ps128(x));
	_mm_storel_pi((__m64 *)(d + 4), _mm256_extractf128_ps(x, 1));
}

// Packs a dense operand whose rows in memory are lines: 8 lines of 8 elements at a time.
INLINE void pack_along(float *dst, int type, const struct kernels_operand *o, long lines, long depth, float scale, int panel) {
	__m256 s = _mm256_set1_ps(scale);
	for (long first = 0; first < lines; first += panel)
		for (int half = 0; half < panel; half += lanes) {
			long n = lines - first - half < panel - half ? lines - first - half : panel - half;
			for (long k = 0; k < depth; k += lanes) {
				__m256 r[lanes];
				for (int i = 0; i < lanes; i++)
					r[i] = i < n ? _mm256_mul_ps(load(type, o->data, (first + half + i) * o->stride + k, depth - k), s) : _mm256_setzero_ps();
				transpose(r);
				float *d = dst + first * depth + k * panel + half;
				if (depth - k >= lanes)
					for (int i = 0; i < lanes; i++) store(d + i * panel, r[i], panel);
				else
					for (int i = 0; i < depth - k; i++) store(d + i * panel, r[i], panel);
			}
		}
}

// Packs a dense operand whose rows in memory are steps of the depth.
INLINE void pack_across(float *dst, int type, const struct kernels_operand *o, long lines, long depth, float scale, int panel) {
	__m256 s = _mm256_set1_ps(scale);
	for (long from = 0; from < lines; from += group * panel) {
		long to = lines - from < group * panel ? lines : from + group * panel;
		for (long k = 0; k < depth; k++)
			for (long first = from; first < to; first += panel)
				for (int half = 0; half < panel; half += lanes) {
					long n = lines - first - half < panel - half ? lines - first - half : panel - half;
					_mm_prefetch((const char *)o->data + ((k + ahead) * o->stride + first + half) * (type == kernels_f32 ? 4 : 2), _MM_HINT_T0);
					__m256 x = n > 0 ? load(type, o->data, k * o->stride + first + half, n) : _mm256_setzero_ps();
					store(dst + first * depth + k * panel + half, _mm256_mul_ps(x, s), panel);
				}
	}
}

INLINE void pack_dense(void *dst, int type, const struct kernels_operand *o, long lines, long depth, float scale, int panel) {
	if (o->transposed)
		pack_across(dst, type, o, lines, depth, scale, panel);
	else
		pack_along(dst, type, o, lines, depth, scale, panel);
}

TARGET static void pack_left(void *dst, const struct kernels_operand *o, long lines, long depth, float scale) {
	switch (o->type) {
	case kernels_f32: pack_dense(dst, kernels_f32, o, lines, depth, scale, height); break;
	case kernels_bf16: pack_dense(dst, kernels_bf16, o, lines, depth, scale, height); break;
	case kernels_f16: pack_dense(dst, kernels_f16, o, lines, depth, scale, height); break;
	default: kernels_pack(dst, o, lines, depth, scale, height, 1, 0);
	}
}

// Returns the values of 8 codes, the low four bits of each lane, times scale.
INLINE __m256 decode(__m256i codes, __m256 low, __m256 high, __m256 scale) {
	__m256 a = _mm256_permutevar8x32_ps(low, codes), b = _mm256_permutevar8x32_ps(high, codes);
	return _mm256_mul_ps(_mm256_blendv_ps(a, b, _mm256_castsi256_ps(_mm256_slli_epi32(codes, 28))), scale);
}

// Transposes 16 rows of 16 bytes.
INLINE void transpose_bytes(__m128i r[width]) {
	__m128i t[width];
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < lanes; i++) {
			t[2 * i] = _mm_unpacklo_epi8(r[i], r[i + lanes]);
			t[2 * i + 1] = _mm_unpackhi_epi8(r[i], r[i + lanes]);
		}
		for (int i = 0; i < lanes; i++) {
			r[2 * i] = _mm_unpacklo_epi8(t[i], t[i + lanes]);
			r[2 * i + 1] = _mm_unpackhi_epi8(t[i], t[i + lanes]);
		}
	}
}

// Packs codes whose rows in memory are lines: 16 lines of 16 bytes at a time.
TARGET static void codes_along(float *dst, const struct kernels_operand *o, long lines, long depth, float scale) {
	const struct kernels_scales s = kernels_scales(o);
	__m256 low = _mm256_loadu_ps(o->values), high = _mm256_loadu_ps(o->values + lanes);
	for (long first = 0; first < lines; first += width) {
		int n = lines - first < width ? (int)(lines - first) : width;
		float scales[width] = {0};
		for (long k = 0; k < depth; k += kernels_codes) {
			__m128i r[width];
			uint8_t columns[width][width] __attribute__((aligned(16)));
			long at = o->first + first * o->stride + k, bytes = (depth - k + 1) / 2;
			for (int i = 0; i < width; i++) {
				const uint8_t *codes = (const uint8_t *)o->data + (at + i * o->stride) / 2;
				uint8_t part[width] = {0};
				if (i >= n)
					r[i] = _mm_setzero_si128();
				else if (bytes >= width)
					r[i] = _mm_loadu_si128((const __m128i *)codes);
				else {
					for (long b = 0; b < bytes; b++) part[b] = codes[b];
					r[i] = _mm_loadu_si128((const __m128i *)part);
				}
			}
			transpose_bytes(r);
			for (int i = 0; i < width; i++) _mm_store_si128((__m128i *)columns[i], r[i]);
			// A block's scale serves until the next block begins, if it begins for all lines at once.
			if (k == 0 || o->stride % o->block != 0 || (o->first + k) % o->block == 0)
				for (int i = 0; i < n; i++) scales[i] = kernels_scale(&s, at + i * o->stride) * scale;
			for (int half = 0; half < 2; half++) {
				__m256 factor = _mm256_loadu_ps(scales + half * lanes);
				for (long j = 0; j < width && k + 2 * j < depth; j++) {
					__m256i q = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(columns[j] + half * lanes)));
					float *d = dst + first * depth + (k + 2 * j) * width + half * lanes;
					_mm256_storeu_ps(d, decode(_mm256_srli_epi32(q, 4), low, high, factor));
					if (k + 2 * j + 1 < depth) _mm256_storeu_ps(d + width, decode(q, low, high, factor));
				}
			}
		}
	}
}

// Packs codes whose rows in memory are steps of the depth: 8 bytes are a panel's step.
TARGET static void codes_across(float *dst, const struct kernels_operand *o, long lines, long depth, float scale) {
	const struct kernels_scales s = kernels_scales(o);
	__m256 low = _mm256_loadu_ps(o->values), high = _mm256_loadu_ps(o->values + lanes);
	for (long from = 0; from < lines; from += group * width) {
		long to = lines - from < group * width ? lines : from + group * width;
		for (long k = 0; k < depth; k++) {
			__m256 factor = _mm256_setzero_ps();
			for (long first = from; first < to; first += width) {
				long at = o->first + k * o->stride + first, n = lines - first;
				uint8_t part[lanes] = {0};
				const uint8_t *codes = (const uint8_t *)o->data + at / 2;
				_mm_prefetch((const char *)o->data + (at + ahead * o->stride) / 2, _MM_HINT_T0);
				if (n < width) {
					for (long b = 0; b < (n + 1) / 2; b++) part[b] = codes[b];
					codes = part;
				}
				if ((first - from) % kernels_codes == 0) factor = _mm256_set1_ps(kernels_scale(&s, at) * scale);
				__m128i x = _mm_loadl_epi64((const __m128i *)codes), both = _mm_unpacklo_epi8(_mm_srli_epi16(x, 4), x);
				__m256 a = decode(_mm256_cvtepu8_epi32(both), low, high, factor);
				__m256 b = decode(_mm256_cvtepu8_epi32(_mm_srli_si128(both, lanes)), low, high, factor);
				float *d = dst + first * depth + k * width;
				_mm256_storeu_ps(d, a);
				_mm256_storeu_ps(d + lanes, b);
				for (long i = n; i < width; i++) d[i] = 0;
			}
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
			kernels_pack(dst, o, lines, depth, scale, width, 1, 0);
		else if (o->transposed)
			codes_across(dst, o, lines, depth, scale);
		else
			codes_along(dst, o, lines, depth, scale);
	}
}

// Computes sums of rows lines of a left panel (a constant) and a right panel, and stores those
// of the first live lines and cols columns.
INLINE void tile(int rows, long live, float *sums, long stride, const float *left, const float *right, long depth, long cols, int accumulate) {
	__m256 sum[height][2];
	_Pragma("GCC unroll 6") for (int r = 0; r < rows; r++) {
		sum[r][0] = sum[r][1] = _mm256_setzero_ps();
		_mm_prefetch((const char *)(sums + r * stride), _MM_HINT_T0);
	}
	for (long k = 0; k < depth; k++, left += height, right += width) {
		__m256 y0 = _mm256_loadu_ps(right), y1 = _mm256_loadu_ps(right + lanes);
		_mm_prefetch((const char *)(left + height * depth), _MM_HINT_T0); // the next panel
		_Pragma("GCC unroll 6") for (int r = 0; r < rows; r++) {
			__m256 x = _mm256_broadcast_ss(left + r);
			sum[r][0] = _mm256_fmadd_ps(x, y0, sum[r][0]);
			sum[r][1] = _mm256_fmadd_ps(x, y1, sum[r][1]);
		}
	}
	_Pragma("GCC unroll 6") for (int r = 0; r < rows; r++) {
		if (r >= live) break;
		float *d = sums + r * stride;
		if (cols < width) {
			float part[width];
			_mm256_storeu_ps(part, sum[r][0]);
			_mm256_storeu_ps(part + lanes, sum[r][1]);
			for (long c = 0; c < cols; c++) d[c] = accumulate ? d[c] + part[c] : part[c];
			continue;
		}
		if (accumulate) {
			sum[r][0] = _mm256_add_ps(sum[r][0], _mm256_loadu_ps(d));
			sum[r][1] = _mm256_add_ps(sum[r][1], _mm256_loadu_ps(d + lanes));
		}
		_mm256_storeu_ps(d, sum[r][0]);
		_mm256_storeu_ps(d + lanes, sum[r][1]);
	}
}

// A right panel of a slice stays in the first cache while the left panels pass.
TARGET static void multiply(float *sums, long stride, const void *left, const void *right, long rows, long cols, long depth, int accumulate) {
	for (long j = 0; j < cols; j += width)
		for (long i = 0; i < rows; i += height) {
			const float *a = (const float *)left + i * depth, *b = (const float *)right + j * depth;
			float *d = sums + i * stride + j;
			if (rows - i > 2)
				tile(height, rows - i, d, stride, a, b, depth, cols - j, accumulate);
			else
				tile(2, rows - i, d, stride, a, b, depth, cols - j, accumulate);
		}
}

TARGET static double spin(long rounds) {
	enum { chains = 12 };
	__m256 sum[chains], x = _mm256_setzero_ps();
	_Pragma("GCC unroll 12") for (int i = 0; i < chains; i++) sum[i] = x;
	for (long n = 0; n < rounds; n++)
		_Pragma("GCC unroll 12") for (int i = 0; i < chains; i++) __asm__ volatile("vfmadd231ps %1, %1, %0" : "+x"(sum[i]) : "x"(x));
	return 2.0 * lanes * chains * (double)rounds;
}

static int available(void) { return (kernels_x86() & x86_avx2) != 0; }

const struct kernels_family kernels_avx2 = {
	.name = "avx2",
	.rows = height,
	.cols = width,
	.unit = 1,
	.bytes = 4,
	.slice = 256,
	.left_piece = 504,
	.right_piece = 128,
	.detail = "float32, 256 bits",
	.available = available,
	.pack_left = pack_left,
	.pack_right = pack_right,
	.multiply = multiply,
	.spin = spin,
};

#endif
