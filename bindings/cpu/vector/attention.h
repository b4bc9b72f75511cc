// Attention's scores, a tile of queries (rows) and keys (columns) at a time.

// The columns that a row sees: [first, last).
INLINE long first_seen(const struct scores *how, long row) {
	long first = how->end + row - how->window;
	return first > 0 ? first : 0;
}
INLINE long last_seen(const struct scores *how, long row, long cols) { return how->end + row < cols ? how->end + row : cols; }

INLINE long group_of(long col) { return col / LANES * LANES; }

// Returns v, with other where the columns from col on are not in [first, last).
INLINE floats seen(floats v, floats other, long col, long first, long last) {
	if (col >= first && col + LANES <= last) return v;
	ints lane;
	for (int j = 0; j < LANES; j++) lane[j] = j;
	return choose(other, v, (lane >= (int32_t)(first - col)) & (lane < (int32_t)(last - col)));
}

// Whether scores are more than scaled products.
INLINE int bent(const struct scores *how) { return how->limit > 0 || how->bias || how->drops || !(how->scale > 0); }

// Scales and caps products.
INLINE floats capped(int bent, const struct scores *how, floats x) {
	x *= how->scale;
	return bent && how->limit > 0 ? how->limit * hyperbolic_tangent(x / how->limit) : x;
}

// Adds the bias of the columns from col on.
INLINE floats biased(int bent, const struct scores *how, floats x, long col) {
	return bent && how->bias ? x + load(how->bias + col, how->biases - col, 0) : x;
}

// Draws the factors of a row's columns [first, last).
INLINE void draw_seen(float *factors, const struct scores *how, long row, long first, long last) {
	long from = first / 8 * 8;
	dropout_factors(factors + from, last - from, &how->dropout, (how->position + (uint32_t)from) / 8, how->row + (uint32_t)row * how->heads);
}

// Clears the columns of a row that are in no group of its columns [first, last).
INLINE void clear_rest(int type, void *x, long first, long last, long cols) {
	long size = type == F32 ? 4 : 2, end = group_of(last + LANES - 1);
	if (first >= last) {
		memset(x, 0, size * cols);
		return;
	}
	if (first >= LANES) memset(x, 0, size * group_of(first));
	if (end < cols) memset((char *)x + size * end, 0, size * (cols - end));
}

// A block of rows goes through all steps of softmax while it is in the first cache.
enum { block_rows = wide };

// Replaces products by scores if they are bent. Writes each row's largest score.
INLINE void largest_scores(int bent, float *largest, float *s, long stride, long from, long to, long cols, const struct scores *how) {
	for (long i = from; i < to; i++) {
		float *x = s + i * stride;
		long first = first_seen(how, i), last = last_seen(how, i, cols);
		floats top = all(-INFINITY);
		for (long j = group_of(first); j < last; j += LANES) {
			floats v = load(x + j, LANES, 0);
			if (bent) {
				v = biased(bent, how, capped(bent, how, v), j);
				store(x + j, v, LANES);
			}
			v = seen(v, all(-INFINITY), j, first, last);
			top = choose(top, v, v > top);
		}
		float best = max_lanes(top);
		largest[i - from] = bent ? best : best * how->scale;
	}
}

// Raises each row's maximum to largest, and scales what was summed below it.
INLINE void raise_maxima(float *most, double *sums, float *o, long dim, const float *largest, long rows) {
	float shrink[block_rows] = {0};
	for (long i = 0; i < rows; i++) shrink[i] = largest[i] > most[i] ? most[i] - largest[i] : 0;
	for (long i = 0; i < rows; i += LANES) store(shrink + i, exponential(load(shrink + i, LANES, 0)), LANES);
	for (long i = 0; i < rows; i++) {
		if (!(largest[i] > most[i])) continue;
		most[i] = largest[i];
		sums[i] *= (double)shrink[i];
		if (o && shrink[i] != 1) scale(o + i * dim, dim, shrink[i]);
	}
}

// Replaces scores, or products that are not bent, by exponentials and adds them up.
INLINE void exponentials(int type, int bent, float *s, long stride, long from, long to, long cols, const struct scores *how, const float *most, double *sums) {
	for (long i = from; i < to; i++) {
		float *x = s + i * stride, factors[score_columns];
		long first = first_seen(how, i), last = last_seen(how, i, cols);
		float top = most[i], factor = bent ? 1 : how->scale;
		strands total = {0};
		if (bent && how->drops) draw_seen(factors, how, i, first, last);
		for (long j = group_of(first); j < last; j += LANES) {
			floats e = seen(exponential_below(load(x + j, LANES, 0) * factor - top), (floats){0}, j, first, last);
			total.lanes[j / LANES % (wide / LANES)] += e;
			if (bent && how->drops) e = seen(e * load(factors + j, LANES, 0), (floats){0}, j, first, last);
			put(type, x, j, j + LANES, e);
		}
		sums[i] += (double)total_pairs(&total);
		clear_rest(type, x, first, last, cols);
	}
}

INLINE void softmax_rows(int type, int bent, float *s, long stride, long rows, long cols, const struct scores *how, float *most, double *sums, float *o, long dim) {
	float largest[block_rows];
	for (long from = 0; from < rows; from += block_rows) {
		long to = rows - from < block_rows ? rows : from + block_rows;
		largest_scores(bent, largest, s, stride, from, to, cols, how);
		raise_maxima(most + from, sums + from, o ? o + from * dim : NULL, dim, largest, to - from);
		exponentials(type, bent, s, stride, from, to, cols, how, most, sums);
	}
}

static void softmax(int type, float *s, long stride, long rows, long cols, const struct scores *given, float *most, double *sums, float *o, long dim) {
	const struct scores how = *given; // nothing that is written can change it
	if (bent(&how))
		FOR_ACTIVATION(type, softmax_rows(T, 1, s, stride, rows, cols, &how, most, sums, o, dim));
	else
		FOR_ACTIVATION(type, softmax_rows(T, 0, s, stride, rows, cols, &how, most, sums, o, dim));
}

INLINE void gradient_rows(int type, int bent, float *s, float *d, long stride, long rows, long cols, const struct scores *how, const float *lse,
			  long lse_stride, const double *delta) {
	for (long i = 0; i < rows; i++) {
		float *x = s + i * stride, *y = d + i * stride, factors[score_columns];
		long first = first_seen(how, i), last = last_seen(how, i, cols);
		float shift = lse[i * lse_stride], mean = (float)delta[i];
		if (bent && how->drops) draw_seen(factors, how, i, first, last);
		for (long j = group_of(first); j < last; j += LANES) {
			floats v = capped(bent, how, load(x + j, LANES, 0)), dp = load(y + j, LANES, 0);
			floats p = exponential_below(biased(bent, how, v, j) - shift), kept = p;
			if (bent && how->drops) {
				floats factor = load(factors + j, LANES, 0);
				dp *= factor;
				kept *= factor;
			}
			dp = p * (dp - mean);
			if (bent && how->limit > 0) {
				floats t = v / how->limit;
				dp *= (1.0f - t) * (1.0f + t);
			}
			put(type, x, j, j + LANES, seen(kept, (floats){0}, j, first, last));
			put(type, y, j, j + LANES, seen(dp, (floats){0}, j, first, last));
		}
		clear_rest(type, x, first, last, cols);
		clear_rest(type, y, first, last, cols);
	}
}

static void score_gradients(int type, float *s, float *d, long stride, long rows, long cols, const struct scores *given, const float *lse, long lse_stride,
			    const double *delta) {
	const struct scores how = *given; // nothing that is written can change it
	if (bent(&how))
		FOR_ACTIVATION(type, gradient_rows(T, 1, s, d, stride, rows, cols, &how, lse, lse_stride, delta));
	else
		FOR_ACTIVATION(type, gradient_rows(T, 0, s, d, stride, rows, cols, &how, lse, lse_stride, delta));
}

INLINE void dots_of(double *dots, int type, struct rows x, struct rows y, long rows, long cols) {
	for (long i = 0; i < rows; i++) {
		sums s = {0};
		EACH_GROUP(j, k, cols) add_products(&s, k, get(type, row(type, x, i), j, cols), get(type, row(type, y, i), j, cols));
		dots[i] = total(&s, NULL);
	}
}

static void row_dots(double *dots, int type, struct rows x, struct rows y, long rows, long cols) { FOR_ACTIVATION(type, dots_of(dots, T, x, y, rows, cols)); }

INLINE void scaled_rows(int type, struct rows dst, const float *src, long rows, long cols, const float *factors, long step) {
	for (long i = 0; i < rows; i++, src += cols)
		for (long j = 0; j < cols; j += LANES) put(type, row(type, dst, i), j, cols, load(src + j, cols - j, 0) * factors[i * step]);
}

static void scale_rows(int type, struct rows dst, const float *src, long rows, long cols, const float *factors, long step) {
	FOR_ACTIVATION(type, scaled_rows(T, dst, src, rows, cols, factors, step));
}
