// Dropout: the numbers are package philox's.
enum { counters = 8, masked = 8 * counters }; // counters drawn at a time, and the columns that they mask

typedef struct {
	uint32_t words[4][counters];
} numbers;

// Philox4x32-10 of counters {first + j, row, stream, step}.
INLINE numbers philox(const uint32_t *key, uint32_t first, uint32_t row, uint32_t stream, uint32_t step) {
	uint32_t c0[counters], c1[counters], c2[counters], c3[counters], k0 = key[0], k1 = key[1];
	for (int j = 0; j < counters; j++) {
		c0[j] = first + (uint32_t)j;
		c1[j] = row;
		c2[j] = stream;
		c3[j] = step;
	}
	for (int round = 0; round < 10; round++) {
		for (int j = 0; j < counters; j++) {
			uint64_t p0 = (uint64_t)0xD2511F53u * c0[j], p1 = (uint64_t)0xCD9E8D57u * c2[j];
			c0[j] = (uint32_t)(p1 >> 32) ^ c1[j] ^ k0;
			c1[j] = (uint32_t)p1;
			c2[j] = (uint32_t)(p0 >> 32) ^ c3[j] ^ k1;
			c3[j] = (uint32_t)p0;
		}
		k0 += 0x9E3779B9u;
		k1 += 0xBB67AE85u;
	}
	numbers n;
	memcpy(n.words[0], c0, sizeof c0);
	memcpy(n.words[1], c1, sizeof c1);
	memcpy(n.words[2], c2, sizeof c2);
	memcpy(n.words[3], c3, sizeof c3);
	return n;
}

// The factors of the masked columns from block·8 on: 0 or scale.
INLINE void draw(float *factors, const struct dropout *d, uint32_t block, uint32_t row, float scale) {
	numbers n = philox(d->key, block, row, d->stream, d->step);
	for (int w = 0; w < 4; w++)
		for (int j = 0; j < counters; j++) {
			factors[8 * j + 2 * w] = (n.words[w][j] & 0xffff) >= d->threshold ? scale : 0;
			factors[8 * j + 2 * w + 1] = n.words[w][j] >> 16 >= d->threshold ? scale : 0;
		}
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
