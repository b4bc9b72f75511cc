// Attention of one query to keys in a cache, without a copy of them.

// Writes the products of heads queries with n keys.
INLINE void cached_products(float *s, long stride, const float *q, int heads, long dim, int type, struct rows k, long n) {
	for (long j = 0; j < n; j++) {
		const uint8_t *key = row(type, k, j);
		strands acc[cached_heads] = {0};
		EACH_GROUP(d, g, dim) {
			floats x = get(type, key, d, dim);
			for (int h = 0; h < heads; h++) acc[h].lanes[g] += x * load(q + h * dim + d, dim - d, 0);
		}
		for (int h = 0; h < heads; h++) s[h * stride + j] = total_pairs(&acc[h]);
	}
}

// Writes the sums of n values, weighted by p.
INLINE void cached_sums(float *o, const float *p, long stride, int heads, long dim, int type, struct rows v, long n) {
	for (long d = 0; d < dim; d += LANES) {
		floats acc[cached_heads] = {0};
		for (long j = 0; j < n; j++) {
			floats x = get(type, row(type, v, j), d, dim);
			for (int h = 0; h < heads; h++) acc[h] += x * p[h * stride + j];
		}
		for (int h = 0; h < heads; h++) store(o + h * dim + d, acc[h], dim - d);
	}
}

INLINE void cached(float *o, float *most, double *sum, const float *q, int heads, long dim, int type, struct rows k, struct rows v, long n,
		   const struct scores *how, long bias_stride) {
	float p[cached_heads * score_columns];
	cached_products(p, score_columns, q, heads, dim, type, k, n);
	for (int h = 0; h < heads; h++) {
		struct scores of = *how;
		if (of.bias) of.bias += h * bias_stride, of.biases -= h * bias_stride;
		of.end = of.window = n;
		most[h] = -INFINITY;
		sum[h] = 0;
		softmax(F32, p + h * score_columns, score_columns, 1, n, &of, most + h, sum + h, NULL, 0);
	}
	cached_sums(o, p, score_columns, heads, dim, type, v, n);
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
