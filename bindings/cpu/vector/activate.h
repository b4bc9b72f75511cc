// The activations' values and slopes; the numbers are vector.go's.
enum { silu, gelu, gelu_tanh, relu, relu_squared };

// The approximation by tanh is v·s with s = (1 + tanh(u))/2 = 1/(1 + e^-2u). From
// e = e^-|2u| neither s nor s·(1-s) cancels.
INLINE floats twice_u(floats v) { return 1.5957691216057308f * (v + 0.044715f * v * v * v); }
INLINE floats below_one(floats u, floats e) { return choose(all(1.0f), e, u < 0.0f) / (1.0f + e); }
INLINE floats value_of_tanh(floats v) {
	floats u = twice_u(v);
	return v * below_one(u, exponential(-magnitude(u)));
}
INLINE floats slope_of_tanh(floats v) {
	floats u = twice_u(v), e = exponential(-magnitude(u)), d = 1.0f + e;
	return below_one(u, e) + v * (1.5957691216057308f * (1.0f + 0.134145f * v * v)) * (e / (d * d));
}

INLINE floats value(int kind, floats v) {
	floats above = choose((floats){0}, v, ~(v <= 0.0f));
	switch (kind) {
	case silu: return v * sigmoid(v);
	case gelu: return v * normal(v);
	case gelu_tanh: return value_of_tanh(v);
	case relu: return above;
	default: return above * above;
	}
}

INLINE floats slope(int kind, floats v) {
	floats s;
	switch (kind) {
	case silu: s = sigmoid(v); return s * (1.0f + v * (1.0f - s));
	case gelu: return normal(v) + v * 0.39894228040143268f * exponential(-0.5f * v * v);
	case gelu_tanh: return slope_of_tanh(v);
	case relu: return choose((floats){0}, all(1.0f), v > 0.0f);
	default: return choose((floats){0}, 2.0f * v, v > 0.0f);
	}
}

// Loops for each activation and type of elements: body is an expression of the constants
// KIND and T.
#define FOR_KIND(kind, type, body)                                                                  \
	switch (kind) {                                                                             \
	case silu: { enum { KIND = silu }; FOR_ACTIVATION(type, body); } break;                     \
	case gelu: { enum { KIND = gelu }; FOR_ACTIVATION(type, body); } break;                     \
	case gelu_tanh: { enum { KIND = gelu_tanh }; FOR_ACTIVATION(type, body); } break;           \
	case relu: { enum { KIND = relu }; FOR_ACTIVATION(type, body); } break;                     \
	default: { enum { KIND = relu_squared }; FOR_ACTIVATION(type, body); } break;               \
	}

INLINE void activated(int kind, int type, void *y, const void *g, const void *u, long n) {
	for (long i = 0; i < n; i += LANES) {
		floats v = value(kind, get(type, g, i, n));
		put(type, y, i, n, u ? v * get(type, u, i, n) : v);
	}
}

static void activate(int kind, int type, struct rows y, struct rows g, struct rows u, long rows, long cols) {
	for (long t = 0; t < rows; t++) FOR_KIND(kind, type, activated(KIND, T, row(T, y, t), row(T, g, t), row(T, u, t), cols));
}

// SwiGLU's gradients have their own order of multiplication, of one sigmoid.
INLINE void activated_backward(int kind, int type, void *dg, void *du, const void *g, const void *u, const void *dy, long n) {
	for (long i = 0; i < n; i += LANES) {
		floats v = get(type, g, i, n), d = get(type, dy, i, n);
		if (!u) {
			put(type, dg, i, n, d * slope(kind, v));
			continue;
		}
		floats up = get(type, u, i, n);
		if (kind == silu) {
			floats s = sigmoid(v);
			put(type, dg, i, n, d * up * s * (1.0f + v * (1.0f - s)));
			put(type, du, i, n, d * v * s);
			continue;
		}
		floats of_gate = d * up * slope(kind, v), of_up = d * value(kind, v);
		put(type, dg, i, n, of_gate);
		put(type, du, i, n, of_up);
	}
}

static void activate_backward(int kind, int type, struct rows dg, struct rows du, struct rows g, struct rows u, struct rows dy, long rows, long cols) {
	for (long t = 0; t < rows; t++)
		FOR_KIND(kind, type, activated_backward(KIND, T, row(T, dg, t), row(T, du, t), row(T, g, t), row(T, u, t), row(T, dy, t), cols));
}
