// The loops of softmax, cross-entropy and attention's scores.

// Returns the largest of x; a NaN counts as larger than any number.
static float max(const float *x, long n) {
	floats top = all(-INFINITY);
	ints nan = {0};
	for (long i = 0; i < n; i += LANES) {
		floats v = load(x + i, n - i, -INFINITY);
		nan |= v != v;
		top = most(v, top);
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
	EACH_STRAND(from, to, n) {
		strands s = {0};
		EACH_GROUP(i, k, from, to) {
			floats e = exponential(load(x + i, to - i, -INFINITY) - shift);
			store(x + i, e, to - i);
			s.lanes[k] += e;
		}
		sum += total_strand(&s);
	}
	return sum;
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
	EACH_STRAND(from, to, n) {
		strands s = {0};
		EACH_GROUP(i, k, from, to) s.lanes[k] += load(x + i, to - i, 0);
		sum += total_strand(&s);
	}
	return sum;
}
