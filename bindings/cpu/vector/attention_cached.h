// Attention of one query of some heads to keys in a cache, without a copy of them.

// Keys whose products with a query are added up together: a lane each.
enum { key_group = wide };

#if LANES == 16
#define PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)

// Adds up the lanes of sixteen groups in halves, each step two groups in one: the sum of
// group 4·(i%4) + i/4 becomes lane i.
INLINE floats total_groups(const floats g[16]) {
	floats h[8], q[4], p[2];
	for (int i = 0; i < 8; i++)
		h[i] = PICK(g[2 * i], g[2 * i + 1], 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
		       PICK(g[2 * i], g[2 * i + 1], 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
	for (int i = 0; i < 4; i++)
		q[i] = PICK(h[2 * i], h[2 * i + 1], 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27) +
		       PICK(h[2 * i], h[2 * i + 1], 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
	for (int i = 0; i < 2; i++)
		p[i] = PICK(q[2 * i], q[2 * i + 1], 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29) +
		       PICK(q[2 * i], q[2 * i + 1], 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
	return PICK(p[0], p[1], 0, 2, 16, 18, 4, 6, 20, 22, 8, 10, 24, 26, 12, 14, 28, 30) +
	       PICK(p[0], p[1], 1, 3, 17, 19, 5, 7, 21, 23, 9, 11, 25, 27, 13, 15, 29, 31);
}
INLINE void total_keys(float *s, const strands *acc) {
	floats g[16];
	for (int i = 0; i < 16; i++) g[i] = acc[4 * (i % 4) + i / 4].lanes[0];
	store(s, total_groups(g), LANES);
}
#else
INLINE void total_keys(float *s, const strands *acc) {
	for (int j = 0; j < key_group; j++) s[j] = total_pairs(&acc[j]);
}
#endif

// Writes the products of heads queries with n keys and, up to whole groups, whatever. whole
// tells that dim is whole groups.
INLINE void cached_products(int whole, float *s, long stride, const float *q, int heads, long dim, int type, struct rows k, long n) {
	for (long first = 0; first < n; first += key_group) {
		strands acc[cached_heads][key_group];
		for (int j = 0; j < key_group; j++) {
			strands sum[cached_heads] = {0};
			const uint8_t *key = row(type, k, first + j < n ? first + j : n - 1);
			EACH_GROUP(d, g, 0, dim) {
				long end = whole ? d + LANES : dim;
				floats x = get(type, key, d, end);
				for (int h = 0; h < heads; h++) sum[h].lanes[g] += x * load(q + h * dim + d, end - d, 0);
			}
			for (int h = 0; h < heads; h++) acc[h][j] = sum[h];
		}
		for (int h = 0; h < heads; h++) total_keys(s + h * stride + first, acc[h]);
	}
}

// Writes the sums of count groups of n values from element d on, weighted by p.
INLINE void cached_sums(int count, float *o, const float *p, long stride, int heads, long d, long dim, int type, struct rows v, long n) {
	floats acc[cached_heads][4] = {0};
	for (long j = 0; j < n; j++) {
		const uint8_t *value = row(type, v, j);
		for (int g = 0; g < count; g++) {
			floats x = get(type, value, d + g * LANES, count > 1 ? d + (g + 1) * LANES : dim);
			for (int h = 0; h < heads; h++) acc[h][g] += x * p[h * stride + j];
		}
	}
	for (int h = 0; h < heads; h++)
		for (int g = 0; g < count; g++) store(o + h * dim + d + g * LANES, acc[h][g], dim - d - g * LANES);
}

INLINE void cached(float *o, float *most, double *sum, const float *q, int heads, long dim, int type, struct rows k, struct rows v, long n,
		   const struct scores *how, long bias_stride) {
	enum { most_groups = LANES == 16 ? 4 : 2 }; // whose sums fit the registers
	float p[cached_heads * score_columns];
	if (dim % LANES == 0)
		cached_products(1, p, score_columns, q, heads, dim, type, k, n);
	else
		cached_products(0, p, score_columns, q, heads, dim, type, k, n);
	for (int h = 0; h < heads; h++) {
		struct scores of = *how;
		if (of.bias) of.bias += h * bias_stride, of.biases -= h * bias_stride;
		of.end = of.window = n;
		most[h] = -INFINITY;
		sum[h] = 0;
		softmax(F32, p + h * score_columns, score_columns, 1, n, &of, most + h, sum + h, NULL, 0);
	}
	long d = 0;
	for (; d + most_groups * LANES <= dim; d += most_groups * LANES) cached_sums(most_groups, o, p, score_columns, heads, d, dim, type, v, n);
	for (; d < dim; d += LANES) cached_sums(1, o, p, score_columns, heads, d, dim, type, v, n);
}

static void attend_cached(float *o, float *most, double *sum, const float *q, int heads, long dim, int type, struct rows k, struct rows v, long n,
			  const struct scores *how, long bias_stride) {
#define CACHED(heads) FOR_ACTIVATION(type, cached(o, most, sum, q, heads, dim, T, k, v, n, how, bias_stride))
	switch (heads) {
	case 1: CACHED(1); break;
	case 2: CACHED(2); break;
	case 3: CACHED(3); break;
	default: CACHED(cached_heads); break;
	}
#undef CACHED
}

// Merges the pieces of one head, stride floats apart, in the first one. Returns the sum of
// the exponentials of all.
INLINE double merged(float *o, float *most, const double *sums, long stride, long pieces, long dim, const float *sink) {
	float top = sink ? *sink : -INFINITY, factors[wide];
	for (long p = 0; p < pieces; p++)
		if (most[p * stride] > top) top = most[p * stride];
	double sum = 0;
	if (sink) {
		floats e = exponential(all(*sink - top));
		sum = (double)e[0];
	}
	for (long from = 0; from < pieces; from += wide) {
		long n = pieces - from < wide ? pieces - from : wide;
		for (long p = 0; p < wide; p++) factors[p] = p < n ? most[(from + p) * stride] - top : 0;
		for (long p = 0; p < wide; p += LANES) store(factors + p, exponential(load(factors + p, LANES, 0)), LANES);
		for (long p = 0; p < n; p++) sum += sums[(from + p) * (stride / 2)] * (double)factors[p];
		for (long d = 0; d < dim; d += LANES) {
			floats acc = from ? load(o + d, dim - d, 0) : (floats){0};
			for (long p = 0; p < n; p++) acc += load(o + (from + p) * stride + d, dim - d, 0) * factors[p];
			store(o + d, acc, dim - d);
		}
	}
	*most = top;
	return sum;
}

INLINE void merge_heads(int type, struct rows out, float *o, float *most, double *sums, long stride, long pieces, int heads, long dim, const float *sinks) {
	for (int h = 0; h < heads; h++) {
		sums[h] = merged(o + h * dim, most + h, sums + h, stride, pieces, dim, sinks ? sinks + h : NULL);
		float factor = (float)(1 / sums[h]);
		for (long d = 0; d < dim; d += LANES) put(type, row(type, out, 0), h * dim + d, (h + 1) * dim, load(o + h * dim + d, dim - d, 0) * factor);
	}
}

static void merge_cached(int type, struct rows out, float *o, float *most, double *sums, long stride, long pieces, int heads, long dim, const float *sinks) {
	FOR_ACTIVATION(type, merge_heads(T, out, o, most, sums, stride, pieces, heads, dim, sinks));
}
