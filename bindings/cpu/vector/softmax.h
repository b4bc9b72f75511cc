// The loops of softmax, cross-entropy and attention's scores.

// Returns the largest of x; a NaN counts as larger than any number.
static float max(const float *x, long n) {
	floats top = all(-INFINITY);
	ints nan = {0};
	for (long i = 0; i < n; i += LANES) {
		floats v = load(x + i, n - i, -INFINITY);
		top = choose(top, v, v > top);
		nan |= v != v;
	}
	float best = top[0];
	for (int j = 0; j < LANES; j++) {
		if (nan[j]) return NAN;
		if (top[j] > best) best = top[j];
	}
	return best;
}

static double exp_sum(float *x, long n, float shift) {
	double sum = 0;
	for (long i = 0; i < n;) {
		strands s = {0};
		for (int k = 0; k < strand * wide / LANES && i < n; k++, i += LANES) {
			floats e = exponential(load(x + i, n - i, -INFINITY) - shift);
			store(x + i, e, n - i);
			s.lanes[k % (wide / LANES)] += e;
		}
		sum += total_strand(&s);
	}
	return sum;
}

static void probabilities(float *p, float *dp, long n, float lse, float delta) {
	for (long i = 0; i < n; i += LANES) {
		floats e = exponential(load(p + i, n - i, 0) - lse);
		store(dp + i, e * (load(dp + i, n - i, 0) - delta), n - i);
		store(p + i, e, n - i);
	}
}

static void cap(float *x, long n, float limit) {
	for (long i = 0; i < n; i += LANES) store(x + i, limit * hyperbolic_tangent(load(x + i, n - i, 0) / limit), n - i);
}

static void scale(float *x, long n, float factor) {
	for (long i = 0; i < n; i++) x[i] *= factor;
}

static void add(float *x, long n, float term) {
	for (long i = 0; i < n; i++) x[i] += term;
}

static double sum(const float *x, long n) {
	double sum = 0;
	for (long i = 0; i < n;) {
		strands s = {0};
		for (int k = 0; k < strand * wide / LANES && i < n; k++, i += LANES) s.lanes[k % (wide / LANES)] += load(x + i, n - i, 0);
		sum += total_strand(&s);
	}
	return sum;
}
