// Clamped elements and their gradients. In bfloat16 the limit is rounded first, so that
// backward recognizes clamped elements.
INLINE floats limit_of(int type, float limit) { return type == F32 ? all(limit) : from_bf16(to_bf16(all(limit))); }

INLINE void clamped(int type, void *x, long n, float limit) {
	floats top = limit_of(type, limit);
	for (long i = 0; i < n; i += LANES) put(type, x, i, n, most(-top, least(top, get(type, x, i, n))));
}

static void clamp(int type, struct rows x, long n, float limit) { FOR_ACTIVATION(type, clamped(T, x.first, n, limit)); }

INLINE void clamped_backward(int type, const void *x, void *dx, long n, float limit) {
	floats top = limit_of(type, limit);
	for (long i = 0; i < n; i += LANES) put(type, dx, i, n, choose(get(type, dx, i, n), all(0), magnitude(get(type, x, i, n)) >= top));
}

static void clamp_backward(int type, struct rows x, struct rows dx, long n, float limit) {
	FOR_ACTIVATION(type, clamped_backward(T, x.first, dx.first, n, limit));
}
