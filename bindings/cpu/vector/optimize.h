// Optimizers' updates, with the roundings of torch's and bitsandbytes' CPU code, and the
// 8-bit code of moments.

// a·b + c rounded once, except for a rare sum within 2^-53 of halfway between two floats.
INLINE floats fused(floats a, floats b, floats c) { return joined(lower(a) * lower(b) + lower(c), upper(a) * upper(b) + upper(c)); }

static void adamw(const struct adamw *s, float *w, const float *g, float *m, float *v, long n) {
	for (long i = 0; i < n; i += LANES) {
		floats grad = load(g + i, n - i, 0) * s->clip, mean = load(m + i, n - i, 0), square = load(v + i, n - i, 0), x = load(w + i, n - i, 0) * s->decay;
		// torch's lerp starts from the moment for a weight below 0.5, else from the gradient.
		if (s->bitsandbytes)
			mean = fused(all(s->fresh1), grad, mean * s->beta1);
		else if (s->fresh1 < 0.5f)
			mean = fused(all(s->fresh1), grad - mean, mean);
		else
			mean = fused(all(s->fresh1 - 1), grad - mean, grad);
		square = fused(s->fresh2 * grad, grad, square * s->beta2);
		store(m + i, mean, n - i);
		store(v + i, square, n - i);
		store(w + i, x + s->step * mean / (square_root(square) / s->root2 + s->eps), n - i);
	}
}

static void lion(const struct lion *s, float *w, const float *g, float *m, long n) {
	for (long i = 0; i < n; i += LANES) {
		floats grad = load(g + i, n - i, 0) * s->clip, mean = load(m + i, n - i, 0), x = load(w + i, n - i, 0) * s->decay;
		floats direction = fused(all(s->fresh1), grad, mean * s->beta1);
		x = choose(x, x - s->lr, direction > 0);
		x = choose(x, x + s->lr, direction < 0);
		store(w + i, x, n - i);
		store(m + i, fused(all(s->fresh2), grad, mean * s->beta2), n - i);
	}
}

static void sgd(const struct sgd *s, float *w, const float *g, float *m, long n) {
	for (long i = 0; i < n; i += LANES) {
		floats grad = load(g + i, n - i, 0) * s->clip, x = load(w + i, n - i, 0);
		if (s->decay != 0) grad = fused(all(s->decay), x, grad);
		if (m) {
			floats mean = s->first ? grad : fused(all(s->fresh), grad, load(m + i, n - i, 0) * s->momentum);
			store(m + i, mean, n - i);
			grad = s->nesterov ? fused(all(s->momentum), mean, grad) : mean;
		}
		store(w + i, fused(all(s->lr), grad, x), n - i);
	}
}

static void expand8(float *x, const uint8_t *codes, const float *values, float absmax, long n) {
	for (long i = 0; i < n; i++) x[i] = values[codes[i]] * absmax;
}

// Package dynamic8's Quantize.
static float quantize8(uint8_t *codes, const float *x, const uint8_t *steps, long n) {
	const double last_step = 65535;
	floats top = {0};
	for (long i = 0; i < n; i += LANES) top = most(magnitude(load(x + i, n - i, 0)), top);
	float absmax = 0;
	for (int j = 0; j < LANES; j++)
		if (top[j] > absmax) absmax = top[j];
	if (absmax == 0) {
		memset(codes, 0, n);
		return 0;
	}
	float inverse = 1 / absmax;
	for (long i = 0; i < n; i += LANES) {
		floats v = load(x + i, n - i, 0) * inverse;
		v = least(most(v, all(-1)), all(1));
		floats half = (v + 1) * 0.5f;
		ints step = __builtin_convertvector(joined(lower(half) * last_step + 0.5, upper(half) * last_step + 0.5), ints);
		for (long j = 0; j < LANES && j < n - i; j++) codes[i + j] = steps[step[j]];
	}
	return absmax;
}
