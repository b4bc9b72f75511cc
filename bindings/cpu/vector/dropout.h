// Dropout: the numbers are package philox's.
enum { counters = LANES, masked = 8 * counters }; // counters drawn at a time, and the columns that they mask

typedef uint32_t words __attribute__((vector_size(4 * LANES)));

typedef struct {
	words words[4];
} numbers;

// The halves of the products of c with m.
INLINE void multiply_wide(words c, uint32_t m, words *low, words *high) {
#if LANES == 16
	const __m512i factor = _mm512_set1_epi64(m);
	__m512i even = _mm512_mul_epu32((__m512i)c, factor), odd = _mm512_mul_epu32(_mm512_srli_epi64((__m512i)c, 32), factor);
	*low = (words)_mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32));
	*high = (words)_mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd);
#elif LANES == 8
	const __m256i factor = _mm256_set1_epi64x(m);
	__m256i even = _mm256_mul_epu32((__m256i)c, factor), odd = _mm256_mul_epu32(_mm256_srli_epi64((__m256i)c, 32), factor);
	*low = (words)_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
	*high = (words)_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
#else
	for (int j = 0; j < counters; j++) {
		uint64_t product = (uint64_t)m * c[j];
		(*low)[j] = (uint32_t)product;
		(*high)[j] = (uint32_t)(product >> 32);
	}
#endif
}

// Philox4x32-10 of counters {first + j, row, stream, step}.
INLINE numbers philox(const uint32_t *key, uint32_t first, uint32_t row, uint32_t stream, uint32_t step) {
	words c0 = {0}, c1 = (words){0} + row, c2 = (words){0} + stream, c3 = (words){0} + step;
	uint32_t k0 = key[0], k1 = key[1];
	for (int j = 0; j < counters; j++) c0[j] = first + (uint32_t)j;
	for (int round = 0; round < 10; round++) {
		words low0, high0, low2, high2;
		multiply_wide(c0, 0xD2511F53u, &low0, &high0);
		multiply_wide(c2, 0xCD9E8D57u, &low2, &high2);
		c0 = high2 ^ c1 ^ k0;
		c1 = low2;
		c2 = high0 ^ c3 ^ k1;
		c3 = low0;
		k0 += 0x9E3779B9u;
		k1 += 0xBB67AE85u;
	}
	return (numbers){{c0, c1, c2, c3}};
}

// The factors of the masked columns from block·8 on: 0 or scale. A counter's words are the
// 16 bits of 8 columns in order.
INLINE void draw(float *factors, const struct dropout *d, uint32_t block, uint32_t row, float scale) {
	numbers n = philox(d->key, block, row, d->stream, d->step);
	if (d->threshold > 0xffff) scale = 0;
#if LANES == 16
	// Counters k, k + 4, k + 8 and k + 12 in each quarter of a vector.
	const __m512i threshold = _mm512_set1_epi16((short)d->threshold);
	__m512i low0 = _mm512_unpacklo_epi32((__m512i)n.words[0], (__m512i)n.words[1]), high0 = _mm512_unpackhi_epi32((__m512i)n.words[0], (__m512i)n.words[1]);
	__m512i low1 = _mm512_unpacklo_epi32((__m512i)n.words[2], (__m512i)n.words[3]), high1 = _mm512_unpackhi_epi32((__m512i)n.words[2], (__m512i)n.words[3]);
	uint32_t kept[4] = {
		_mm512_cmpge_epu16_mask(_mm512_unpacklo_epi64(low0, low1), threshold), _mm512_cmpge_epu16_mask(_mm512_unpackhi_epi64(low0, low1), threshold),
		_mm512_cmpge_epu16_mask(_mm512_unpacklo_epi64(high0, high1), threshold), _mm512_cmpge_epu16_mask(_mm512_unpackhi_epi64(high0, high1), threshold),
	};
	for (int j = 0; j < counters; j++)
		_mm256_storeu_ps(factors + 8 * j, _mm256_maskz_mov_ps((__mmask8)(kept[j % 4] >> 8 * (j / 4)), _mm256_set1_ps(scale)));
#else
	for (int j = 0; j < counters; j++)
		for (int w = 0; w < 4; w++) {
			factors[8 * j + 2 * w] = (n.words[w][j] & 0xffff) >= d->threshold ? scale : 0;
			factors[8 * j + 2 * w + 1] = n.words[w][j] >> 16 >= d->threshold ? scale : 0;
		}
#endif
}

static void dropout_factors(float *dst, long n, const struct dropout *d, uint32_t block, uint32_t row) {
	for (long col = 0; col < n; col += masked) {
		float factors[masked];
		draw(factors, d, block + (uint32_t)(col / 8), row, d->scale);
		memcpy(dst + col, factors, 4 * (n - col < masked ? n - col : masked));
	}
}

static void mask(float *dst, const float *x, const float *factors, long n) {
	for (long i = 0; i < n; i++) dst[i] = x[i] * factors[i];
}

static void add_mask(float *dst, const float *x, const float *factors, long n) {
	for (long i = 0; i < n; i++) dst[i] += x[i] * factors[i];
}

// y = residual + scale·dropout(x) for elements [from, to) of a row whose factors are equal,
// or from factors if they are not null.
INLINE void branch(int type, void *y, const void *x, const void *residual, long from, long to, float scale, const float *factors) {
	for (long i = from; i < to; i += LANES) {
		floats v = get(type, x, i, to) * (factors ? load(factors + i - from, to - i, 0) : all(scale));
		put(type, y, i, to, residual ? get(type, residual, i, to) + v : v);
	}
}

INLINE void branches(int type, struct rows y, struct rows x, struct rows residual, long rows, long cols, float scale, const struct dropout *d, uint32_t first) {
	for (long t = 0; t < rows; t++) {
		void *out = row(type, y, t), *in = row(type, x, t), *over = row(type, residual, t);
		if (!d) {
			branch(type, out, in, over, 0, cols, scale, NULL);
			continue;
		}
		for (long col = 0; col < cols; col += masked) {
			float factors[masked];
			draw(factors, d, (uint32_t)(col / 8), first + (uint32_t)t, d->scale * scale);
			branch(type, out, in, over, col, cols - col < masked ? cols : col + masked, 0, factors);
		}
	}
}

static void add_branch(int type, struct rows y, struct rows x, struct rows residual, long rows, long cols, float scale, const struct dropout *d, uint32_t first) {
	FOR_ACTIVATION(type, branches(T, y, x, residual, rows, cols, scale, d, first));
}
