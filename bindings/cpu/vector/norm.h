// RMSNorm and LayerNorm of rows, and their gradients. Sums over a row or a column are in
// double, those of bfloat16 without a mean in strands.

// The sum of x·y·weight; weight null: of x·y.
INLINE double weighted(int type, const void *x, const void *y, const float *weight, long n) {
	double sum = 0;
	if (type == F32) {
		sums s = {0};
		EACH_GROUP(i, k, 0, n) {
			floats v = get(type, y, i, n);
			add_products(&s, k, weight ? v * load(weight + i, n - i, 0) : v, get(type, x, i, n));
		}
		return total(&s, NULL);
	}
	EACH_STRAND(from, to, n) {
		strands s = {0};
		EACH_GROUP(i, k, from, to) {
			floats v = get(type, y, i, to);
			s.lanes[k] += (weight ? v * load(weight + i, to - i, 0) : v) * get(type, x, i, to);
		}
		sum += total_strand(&s);
	}
	return sum;
}

INLINE void mean_square(int type, const void *x, long n, int centered, double *mean, double *square) {
	sums s = {0};
	double rest[wide] = {0};
	*mean = 0;
	if (!centered) {
		*square = weighted(type, x, x, NULL, n) / n;
		return;
	}
	EACH_GROUP(i, k, 0, n) add_group(&s, k, get(type, x, i, n));
	*mean = total(&s, rest) / n;
	s = (sums){0};
	EACH_GROUP(i, k, 0, n) {
		floats v = get(type, x, i, n);
		if (n - i >= LANES)
			add_squares(&s, k, v, *mean);
		else
			for (long j = i; j < n; j++) rest[j % wide] = (v[j - i] - *mean) * (v[j - i] - *mean);
	}
	*square = total(&s, rest) / n;
}

// y = (x - mean)·rstd·weight + bias
INLINE void normalized(int type, void *y, const void *x, const float *weight, const float *bias, long n, int centered, float mean, float r) {
	for (long i = 0; i < n; i += LANES) {
		floats v = get(type, x, i, n);
		if (centered) v -= mean;
		v = v * r * load(weight + i, n - i, 0);
		if (bias) v += load(bias + i, n - i, 0);
		put(type, y, i, n, v);
	}
}

INLINE void norm_rows(int type, int centered, struct rows y, struct rows x, const float *weight, const float *bias, long turns, long turn, long rows, long cols,
		      float eps, float *means, float *rstd) {
	for (long t = 0; t < rows; t++) {
		double mean, square;
		mean_square(type, row(type, x, t), cols, centered, &mean, &square);
		float r = (float)(1 / sqrt(square + (double)eps));
		if (rstd) rstd[t] = r;
		if (means) means[t] = (float)mean;
		long at = (turn + t) % turns * cols;
		normalized(type, row(type, y, t), row(type, x, t), weight + at, bias ? bias + at : NULL, cols, centered, (float)mean, r);
	}
}

static void norm(int type, int centered, struct rows y, struct rows x, const float *weight, const float *bias, long turns, long turn, long rows, long cols,
		 float eps, float *means, float *rstd) {
	if (centered)
		FOR_ACTIVATION(type, norm_rows(T, 1, y, x, weight, bias, turns, turn, rows, cols, eps, means, rstd));
	else
		FOR_ACTIVATION(type, norm_rows(T, 0, y, x, weight, bias, turns, turn, rows, cols, eps, means, rstd));
}

// dx (+)= r·(g - x·c) with g = dy·weight and c = mean(g·x)·r²
INLINE void rms_backward(int type, void *dx, const void *x, const void *dy, const float *weight, long n, float r, int accumulate) {
	float c = (float)(weighted(type, x, dy, weight, n) / n * (double)r * (double)r);
	for (long i = 0; i < n; i += LANES) {
		floats v = r * (get(type, dy, i, n) * load(weight + i, n - i, 0) - get(type, x, i, n) * c);
		if (accumulate) v += get(type, dx, i, n);
		put(type, dx, i, n, v);
	}
}

// dx (+)= r·(g - mean(g) - (x - mean)·c) with g = dy·weight and c = mean(g·(x - mean))·r²
INLINE void centered_backward(int type, void *dx, const void *x, const void *dy, const float *weight, long n, float mean, float r, int accumulate) {
	sums s = {0}, moment = {0};
	EACH_GROUP(i, k, 0, n) {
		floats g = get(type, dy, i, n) * load(weight + i, n - i, 0);
		add_group(&s, k, g);
		add_products(&moment, k, g, get(type, x, i, n) - mean);
	}
	float average = (float)(total(&s, NULL) / n), c = (float)(total(&moment, NULL) / n * (double)r * (double)r);
	for (long i = 0; i < n; i += LANES) {
		floats v = r * (get(type, dy, i, n) * load(weight + i, n - i, 0) - average - (get(type, x, i, n) - mean) * c);
		if (accumulate) v += get(type, dx, i, n);
		put(type, dx, i, n, v);
	}
}

INLINE void norm_rows_backward(int type, struct rows dx, struct rows x, struct rows dy, const float *weight, long turns, long turn, long rows, long cols,
			       const float *means, const float *rstd, int accumulate) {
	for (long t = 0; t < rows; t++) {
		const float *w = weight + (turn + t) % turns * cols;
		if (means)
			centered_backward(type, row(type, dx, t), row(type, x, t), row(type, dy, t), w, cols, means[t], rstd[t], accumulate);
		else
			rms_backward(type, row(type, dx, t), row(type, x, t), row(type, dy, t), w, cols, rstd[t], accumulate);
	}
}

static void norm_backward(int type, struct rows dx, struct rows x, struct rows dy, const float *weight, long turns, long turn, long rows, long cols,
			  const float *means, const float *rstd, int accumulate) {
	FOR_ACTIVATION(type, norm_rows_backward(T, dx, x, dy, weight, turns, turn, rows, cols, means, rstd, accumulate));
}

// The number of columns that are summed at a time.
enum { columns = 128 };

// Sums of columns in double.
typedef struct {
	doubles at[2 * columns / LANES];
} column_sums;

INLINE void add_columns(float *dst, const column_sums *s, long n) {
	double x[columns];
	memcpy(x, s->at, sizeof x);
	for (long j = 0; j < n; j++) dst[j] += (float)x[j];
}

INLINE void column_products(float *dst, int type, struct rows x, struct rows dy, long rows, long from, long n, const float *means, const float *rstd, long turns) {
	column_sums s = {0};
	for (long t = 0; t < rows; t++)
		for (long i = 0; i < n; i += LANES) {
			floats g = get(type, row(type, dy, t), from + i, from + n), v = get(type, row(type, x, t), from + i, from + n);
			v = (v - (means ? means[t * turns] : 0)) * rstd[t * turns];
			s.at[2 * i / LANES] += lower(g) * lower(v);
			s.at[2 * i / LANES + 1] += upper(g) * upper(v);
		}
	add_columns(dst, &s, n);
}

static void norm_weight_backward(float *dst, int type, struct rows x, struct rows dy, long rows, long cols, const float *means, const float *rstd, long turns) {
	for (long i = 0; i < cols; i += columns) {
		long n = cols - i < columns ? cols - i : columns;
		FOR_ACTIVATION(type, column_products(dst + i, T, x, dy, rows, i, n, means, rstd, turns));
	}
}

INLINE void summed_columns(float *dst, int type, struct rows x, long rows, long from, long n) {
	column_sums s = {0};
	for (long t = 0; t < rows; t++)
		for (long i = 0; i < n; i += LANES) {
			floats v = get(type, row(type, x, t), from + i, from + n);
			s.at[2 * i / LANES] += lower(v);
			s.at[2 * i / LANES + 1] += upper(v);
		}
	add_columns(dst, &s, n);
}

static void sum_rows(float *dst, int type, struct rows x, long rows, long cols) {
	for (long i = 0; i < cols; i += columns) {
		long n = cols - i < columns ? cols - i : columns;
		FOR_ACTIVATION(type, summed_columns(dst + i, T, x, rows, i, n));
	}
}
