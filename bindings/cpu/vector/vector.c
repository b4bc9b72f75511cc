// Loops over groups of eight floats in GCC's vector types. The last, partial
// group is copied to a full one and back, so that an element's bits do not
// depend on its position.
#include "vector.h"

#include <math.h>
#include <string.h>

typedef float f8 __attribute__((vector_size(32)));
typedef int32_t i8 __attribute__((vector_size(32)));

// One body for AVX2 and one for any other x86-64, chosen at startup. Neither
// fuses multiply and add, so both give the same bits.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define CLONES __attribute__((target_clones("avx2", "default")))
#else
#define CLONES
#endif
#define INLINE static inline __attribute__((always_inline))

INLINE f8 load(const float *p, long n, float fill) {
	f8 v = {fill, fill, fill, fill, fill, fill, fill, fill};
	if (n >= 8)
		memcpy(&v, p, 32);
	else
		memcpy(&v, p, 4 * n);
	return v;
}
INLINE void store(float *p, f8 v, long n) {
	if (n >= 8)
		memcpy(p, &v, 32);
	else
		memcpy(p, &v, 4 * n);
}

// b where the mask is set, else a.
INLINE f8 choose(f8 a, f8 b, i8 mask) { return (f8)((((i8)a) & ~mask) | (((i8)b) & mask)); }

// e^x within 2 ulp, subnormal results included: x = n·ln2 + r, Cephes'
// polynomial in r, and 2^n in two factors, as neither end of n's range fits
// one. At the limits to which x is clamped, the result is infinity and 0; a NaN
// passes through.
INLINE f8 exp8(f8 x) {
	const float shift = 12582912.0f; // 3·2^22: adding it rounds to an integer, in the low bits
	f8 top = (f8){0} + 88.8f, bottom = (f8){0} - 104.0f;
	x = choose(x, top, x > top);
	x = choose(x, bottom, x < bottom);
	f8 z = x * 1.44269504088896341f + shift;
	i8 n = (i8)z - 0x4b400000; // the bits of shift
	f8 f = z - shift;
	f8 r = x - f * 0.693359375f;
	r = r - f * -2.12194440e-4f;
	f8 p = (f8){0} + 1.9875691500e-4f;
	p = p * r + 1.3981999507e-3f;
	p = p * r + 8.3334519073e-3f;
	p = p * r + 4.1665795894e-2f;
	p = p * r + 1.6666665459e-1f;
	p = p * r + 5.0000001201e-1f;
	p = (p * r) * r + r + 1.0f;
	i8 half = n >> 1;
	return p * (f8)((half + 127) << 23) * (f8)((n - half + 127) << 23);
}

INLINE f8 sigmoid8(f8 x) { return 1.0f / (1.0f + exp8(-x)); }

// Returns the largest of x; a NaN counts as larger than any number.
CLONES float vector_max(const float *x, long n) {
	f8 top = (f8){0} - INFINITY;
	i8 nan = (i8){0};
	for (long i = 0; i < n; i += 8) {
		f8 v = load(x + i, n - i, -INFINITY);
		top = choose(top, v, v > top);
		nan |= v != v;
	}
	float best = top[0];
	for (int j = 0; j < 8; j++) {
		if (nan[j]) return NAN;
		if (top[j] > best) best = top[j];
	}
	return best;
}

// The number of elements that each lane sums in float before it adds to a
// double.
enum { strand = 64 };

CLONES double vector_exp_sum(float *x, long n, float shift) {
	double sum = 0;
	for (long i = 0; i < n;) {
		f8 lanes = (f8){0};
		for (int k = 0; k < strand && i < n; k++, i += 8) {
			f8 e = exp8(load(x + i, n - i, -INFINITY) - shift);
			store(x + i, e, n - i);
			lanes += e;
		}
		for (int j = 0; j < 8; j++) sum += (double)lanes[j];
	}
	return sum;
}

CLONES void vector_probabilities(float *p, float *dp, long n, float lse, float delta) {
	for (long i = 0; i < n; i += 8) {
		f8 e = exp8(load(p + i, n - i, 0) - lse);
		store(dp + i, e * (load(dp + i, n - i, 0) - delta), n - i);
		store(p + i, e, n - i);
	}
}

// Polynomials, coefficients from the highest power down.
INLINE f8 polynomial(f8 x, const float *coefficients, int n) {
	f8 p = (f8){0} + coefficients[0];
	for (int i = 1; i < n; i++) p = p * x + coefficients[i];
	return p;
}

INLINE f8 magnitude(f8 x) { return (f8)((i8)x & 0x7fffffff); }
INLINE f8 signed_as(f8 x, f8 sign) { return (f8)(((i8)x & 0x7fffffff) | ((i8)sign & (i8)((i8){0} + INT32_MIN))); }

// Cephes' tanhf: a polynomial near 0, and exp elsewhere.
INLINE f8 tanh8(f8 x) {
	static const float p[] = {-5.70498872745e-3f, 2.06390887954e-2f, -5.37397155531e-2f, 1.33314422036e-1f, -3.33332819422e-1f};
	f8 size = magnitude(x), square = x * x;
	f8 near = polynomial(square, p, 5) * square * x + x;
	f8 far = signed_as(1.0f - 2.0f / (exp8(size + size) + 1.0f), x);
	return choose(far, near, size < 0.625f);
}

// The normal distribution's Phi(x) = erfc(-x/sqrt(2))/2: Cephes' erff and erfcf.
INLINE f8 phi8(f8 x) {
	static const float near[] = {7.853861353153693e-5f, -8.010193625184903e-4f, 5.188327685732524e-3f, -2.685381193529856e-2f,
				     1.128358514861418e-1f, -3.761262582423300e-1f, 1.128379165726710e+0f};
	static const float middle[] = {2.326819970068386e-2f, -1.387039388740657e-1f, 3.687424674597105e-1f, -5.824733027278666e-1f, 6.210004621745983e-1f,
				       -4.944515323274145e-1f, 3.404879937665872e-1f, -2.741127028184656e-1f, 5.638259427386472e-1f};
	static const float far[] = {-1.047766399936249e+1f, 1.297719955372516e+1f, -7.495518717768503e+0f, 2.921019019210786e+0f,
				    -1.015265279202700e+0f, 4.218463358204948e-1f, -2.820767439740514e-1f, 5.641895067754075e-1f};
	f8 a = x * 0.70710678118654752f, size = magnitude(a), square = a * a;
	f8 inner = 0.5f + 0.5f * a * polynomial(square, near, 7);
	f8 q = 1.0f / choose(size, (f8){0} + 1.0f, size < 1.0f), qq = q * q;
	f8 tail = 0.5f * exp8(-square) * q * choose(polynomial(qq, far, 8), polynomial(qq, middle, 9), size < 2.0f);
	f8 outer = choose(tail, 1.0f - tail, a > 0.0f);
	return choose(outer, inner, size < 1.0f);
}

// The activations' values and slopes; the numbers are vector.go's.
enum { silu, gelu, gelu_tanh, relu, relu_squared };

// The approximation by tanh is v·s with s = (1 + tanh(u))/2 = 1/(1 + e^-2u). From
// e = e^-|2u| neither s nor s·(1-s) cancels.
INLINE f8 twice_u(f8 v) { return 1.5957691216057308f * (v + 0.044715f * v * v * v); }
INLINE f8 below_one(f8 u, f8 e) { return choose((f8){0} + 1.0f, e, u < 0.0f) / (1.0f + e); }
INLINE f8 value_of_tanh(f8 v) {
	f8 u = twice_u(v);
	return v * below_one(u, exp8(-magnitude(u)));
}
INLINE f8 slope_of_tanh(f8 v) {
	f8 u = twice_u(v), e = exp8(-magnitude(u)), d = 1.0f + e;
	return below_one(u, e) + v * (1.5957691216057308f * (1.0f + 0.134145f * v * v)) * (e / (d * d));
}

INLINE f8 value(int kind, f8 v) {
	f8 above = choose((f8){0}, v, ~(v <= 0.0f));
	switch (kind) {
	case silu: return v * sigmoid8(v);
	case gelu: return v * phi8(v);
	case gelu_tanh: return value_of_tanh(v);
	case relu: return above;
	default: return above * above;
	}
}

INLINE f8 slope(int kind, f8 v) {
	f8 s;
	switch (kind) {
	case silu: s = sigmoid8(v); return s * (1.0f + v * (1.0f - s));
	case gelu: return phi8(v) + v * 0.39894228040143268f * exp8(-0.5f * v * v);
	case gelu_tanh: return slope_of_tanh(v);
	case relu: return choose((f8){0}, (f8){0} + 1.0f, v > 0.0f);
	default: return choose((f8){0}, 2.0f * v, v > 0.0f);
	}
}

INLINE void activate(int kind, float *y, const float *g, const float *u, long n) {
	for (long i = 0; i < n; i += 8) {
		f8 v = value(kind, load(g + i, n - i, 0));
		store(y + i, u ? v * load(u + i, n - i, 0) : v, n - i);
	}
}

INLINE void activate_backward(int kind, float *dg, float *du, const float *g, const float *u, const float *dy, long n) {
	for (long i = 0; i < n; i += 8) {
		f8 v = load(g + i, n - i, 0), d = load(dy + i, n - i, 0);
		if (!u) {
			store(dg + i, d * slope(kind, v), n - i);
			continue;
		}
		f8 up = load(u + i, n - i, 0);
		store(dg + i, d * up * slope(kind, v), n - i);
		store(du + i, d * value(kind, v), n - i);
	}
}

CLONES void vector_activate(int kind, float *y, const float *g, const float *u, long n) {
	switch (kind) {
	case silu: activate(silu, y, g, u, n); break;
	case gelu: activate(gelu, y, g, u, n); break;
	case gelu_tanh: activate(gelu_tanh, y, g, u, n); break;
	case relu: activate(relu, y, g, u, n); break;
	default: activate(relu_squared, y, g, u, n); break;
	}
}

// SwiGLU's gradients have their own order of multiplication.
INLINE void swiglu_backward(float *dg, float *du, const float *g, const float *u, const float *dy, long n) {
	for (long i = 0; i < n; i += 8) {
		f8 v = load(g + i, n - i, 0), up = load(u + i, n - i, 0), d = load(dy + i, n - i, 0);
		f8 s = sigmoid8(v);
		store(dg + i, d * up * s * (1.0f + v * (1.0f - s)), n - i);
		store(du + i, d * v * s, n - i);
	}
}

CLONES void vector_activate_backward(int kind, float *dg, float *du, const float *g, const float *u, const float *dy, long n) {
	switch (kind) {
	case silu:
		if (u)
			swiglu_backward(dg, du, g, u, dy, n);
		else
			activate_backward(silu, dg, du, g, u, dy, n);
		break;
	case gelu: activate_backward(gelu, dg, du, g, u, dy, n); break;
	case gelu_tanh: activate_backward(gelu_tanh, dg, du, g, u, dy, n); break;
	case relu: activate_backward(relu, dg, du, g, u, dy, n); break;
	default: activate_backward(relu_squared, dg, du, g, u, dy, n); break;
	}
}

CLONES void vector_cap(float *x, long n, float limit) {
	for (long i = 0; i < n; i += 8) store(x + i, limit * tanh8(load(x + i, n - i, 0) / limit), n - i);
}

CLONES void vector_scale(float *x, long n, float factor) {
	for (long i = 0; i < n; i++) x[i] *= factor;
}

CLONES void vector_add(float *x, long n, float term) {
	for (long i = 0; i < n; i++) x[i] += term;
}

CLONES double vector_sum(const float *x, long n) {
	double sum = 0;
	for (long i = 0; i < n;) {
		f8 lanes = (f8){0};
		for (int k = 0; k < strand && i < n; k++, i += 8) lanes += load(x + i, n - i, 0);
		for (int j = 0; j < 8; j++) sum += (double)lanes[j];
	}
	return sum;
}

CLONES void vector_widen_bf16(float *dst, const uint16_t *src, long n) {
	for (long i = 0; i < n; i++) {
		uint32_t bits = (uint32_t)src[i] << 16;
		memcpy(dst + i, &bits, 4);
	}
}

// Eight codes at a time: all lanes hold the same 32 bits, shifted so that each
// lane's nibble is lowest (the high nibble of a byte comes first), and look it
// up in two registers.
CLONES void vector_dequantize(float *dst, const uint8_t *codes, long n, const float *values, const float *scales, long block) {
	const i8 shifts = {4, 0, 12, 8, 20, 16, 28, 24};
	f8 low = load(values, 8, 0), high = load(values + 8, 8, 0);
	for (long b = 0; b * block < n; b++) {
		f8 scale = (f8){0} + scales[b];
		for (long i = b * block; i < (b + 1) * block; i += 8) {
			int32_t word;
			memcpy(&word, codes + i / 2, 4);
			i8 index = (((i8){0} + word) >> shifts) & 15;
			store(dst + i, __builtin_shuffle(low, high, index) * scale, 8);
		}
	}
}

// Philox4x32-10 for eight counters at a time, and the masks of 64 columns. The
// numbers are package philox's.
CLONES void vector_dropout_factors(float *dst, long n, const uint32_t *key, uint32_t block, uint32_t row, uint32_t stream, uint32_t step, uint32_t threshold, float scale) {
	for (long col = 0; col < n; col += 64) {
		uint32_t c0[8], c1[8], c2[8], c3[8], k0 = key[0], k1 = key[1];
		for (int j = 0; j < 8; j++) {
			c0[j] = block + (uint32_t)(col / 8 + j);
			c1[j] = row;
			c2[j] = stream;
			c3[j] = step;
		}
		for (int round = 0; round < 10; round++) {
			for (int j = 0; j < 8; j++) {
				uint64_t p0 = (uint64_t)0xD2511F53u * c0[j], p1 = (uint64_t)0xCD9E8D57u * c2[j];
				c0[j] = (uint32_t)(p1 >> 32) ^ c1[j] ^ k0;
				c1[j] = (uint32_t)p1;
				c2[j] = (uint32_t)(p0 >> 32) ^ c3[j] ^ k1;
				c3[j] = (uint32_t)p0;
			}
			k0 += 0x9E3779B9u;
			k1 += 0xBB67AE85u;
		}
		float factors[64];
		const uint32_t *words[4] = {c0, c1, c2, c3};
		for (int w = 0; w < 4; w++)
			for (int j = 0; j < 8; j++) {
				factors[8 * j + 2 * w] = (words[w][j] & 0xffff) >= threshold ? scale : 0;
				factors[8 * j + 2 * w + 1] = words[w][j] >> 16 >= threshold ? scale : 0;
			}
		memcpy(dst + col, factors, 4 * (n - col < 64 ? n - col : 64));
	}
}

CLONES void vector_mask(float *dst, const float *x, const float *factors, long n) {
	for (long i = 0; i < n; i++) dst[i] = x[i] * factors[i];
}

CLONES void vector_add_mask(float *dst, const float *x, const float *factors, long n) {
	for (long i = 0; i < n; i++) dst[i] += x[i] * factors[i];
}
