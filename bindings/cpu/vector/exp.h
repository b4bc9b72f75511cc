// Exponentials and what is made of them, in float32.

// e^x = p·2^n: x = n·ln2 + r, and Cephes' polynomial in r.
INLINE floats exponential_parts(floats x, floats *n) {
	const float shift = 12582912.0f; // 3·2^22: adding it rounds to an integer
	*n = x * 1.44269504088896341f + shift - shift;
	floats r = x - *n * 0.693359375f;
	r = r - *n * -2.12194440e-4f;
	floats p = all(1.9875691500e-4f);
	p = p * r + 1.3981999507e-3f;
	p = p * r + 8.3334519073e-3f;
	p = p * r + 4.1665795894e-2f;
	p = p * r + 1.6666665459e-1f;
	p = p * r + 5.0000001201e-1f;
	return (p * r) * r + r + 1.0f;
}

// e^x within 2 ulp, subnormal results included: 2^n in two factors, as neither end of n's
// range fits one, or by the processor. At the limits to which x is clamped, the result is
// infinity and 0; a NaN passes through.
INLINE floats exponential(floats x) {
	floats n, p = exponential_parts(most(all(-104.0f), least(all(88.8f), x)), &n);
#if LANES == 16
	return (floats)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
	ints whole = __builtin_convertvector(n, ints), half = whole >> 1;
	return p * (floats)((half + 127) << 23) * (floats)((whole - half + 127) << 23);
#endif
}

// e^x within 2 ulp for x up to 88, 0 below -87. A NaN passes through.
INLINE floats exponential_below(floats x) {
	floats n, p = exponential_parts(x, &n);
	ints bits = (__builtin_convertvector(n, ints) + 127) << 23;
	return choose(p * (floats)bits, all(0), x < -87.0f);
}

INLINE floats sigmoid(floats x) { return 1.0f / (1.0f + exponential(-x)); }

// Polynomials, coefficients from the highest power down.
INLINE floats polynomial(floats x, const float *coefficients, int n) {
	floats p = (floats){0} + coefficients[0];
	for (int i = 1; i < n; i++) p = p * x + coefficients[i];
	return p;
}

// Cephes' tanhf: a polynomial near 0, and exp elsewhere.
INLINE floats hyperbolic_tangent(floats x) {
	static const float p[] = {-5.70498872745e-3f, 2.06390887954e-2f, -5.37397155531e-2f, 1.33314422036e-1f, -3.33332819422e-1f};
	floats size = magnitude(x), square = x * x;
	floats near = polynomial(square, p, 5) * square * x + x;
	floats far = signed_as(1.0f - 2.0f / (exponential(size + size) + 1.0f), x);
	return choose(far, near, size < 0.625f);
}

// The normal distribution's Phi(x) = erfc(-x/sqrt(2))/2: Cephes' erff and erfcf.
INLINE floats normal(floats x) {
	static const float near[] = {7.853861353153693e-5f, -8.010193625184903e-4f, 5.188327685732524e-3f, -2.685381193529856e-2f,
				     1.128358514861418e-1f, -3.761262582423300e-1f, 1.128379165726710e+0f};
	static const float middle[] = {2.326819970068386e-2f, -1.387039388740657e-1f, 3.687424674597105e-1f, -5.824733027278666e-1f, 6.210004621745983e-1f,
				       -4.944515323274145e-1f, 3.404879937665872e-1f, -2.741127028184656e-1f, 5.638259427386472e-1f};
	static const float far[] = {-1.047766399936249e+1f, 1.297719955372516e+1f, -7.495518717768503e+0f, 2.921019019210786e+0f,
				    -1.015265279202700e+0f, 4.218463358204948e-1f, -2.820767439740514e-1f, 5.641895067754075e-1f};
	floats a = x * 0.70710678118654752f, size = magnitude(a), square = a * a;
	floats inner = 0.5f + 0.5f * a * polynomial(square, near, 7);
	floats q = 1.0f / choose(size, all(1.0f), size < 1.0f), qq = q * q;
	floats tail = 0.5f * exponential(-square) * q * choose(polynomial(qq, far, 8), polynomial(qq, middle, 9), size < 2.0f);
	floats outer = choose(tail, 1.0f - tail, a > 0.0f);
	return choose(outer, inner, size < 1.0f);
}
