// Groups of LANES elements in the compiler's vector types. The last, partial group is
// copied to a full one and back, so that an element's bits do not depend on its position.
typedef float floats __attribute__((vector_size(4 * LANES)));
typedef int32_t ints __attribute__((vector_size(4 * LANES)));
typedef uint16_t shorts __attribute__((vector_size(2 * LANES)));
typedef float halves __attribute__((vector_size(2 * LANES)));
typedef double doubles __attribute__((vector_size(4 * LANES))); // half as many

#define INLINE static inline __attribute__((always_inline))

INLINE floats all(float x) { return (floats){0} + x; }

INLINE floats load(const float *p, long n, float fill) {
	floats v = all(fill);
	if (n >= LANES)
		memcpy(&v, p, sizeof v);
	else
		memcpy(&v, p, 4 * n);
	return v;
}
INLINE void store(float *p, floats v, long n) {
	if (n >= LANES)
		memcpy(p, &v, sizeof v);
	else
		memcpy(p, &v, 4 * n);
}

// b where the mask is set, else a.
INLINE floats choose(floats a, floats b, ints mask) { return (floats)((((ints)a) & ~mask) | (((ints)b) & mask)); }
INLINE ints choose_bits(ints a, ints b, ints mask) { return (a & ~mask) | (b & mask); }

INLINE floats magnitude(floats x) { return (floats)((ints)x & 0x7fffffff); }
INLINE floats signed_as(floats x, floats sign) { return (floats)(((ints)x & 0x7fffffff) | ((ints)sign & INT32_MIN)); }

// The halves of a group in double, and a group of both rounded.
#if LANES == 16
#define LOWER(v) __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7)
#define UPPER(v) __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15)
#define JOINED(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
#elif LANES == 8
#define LOWER(v) __builtin_shufflevector(v, v, 0, 1, 2, 3)
#define UPPER(v) __builtin_shufflevector(v, v, 4, 5, 6, 7)
#define JOINED(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7)
#else
#define LOWER(v) __builtin_shufflevector(v, v, 0, 1)
#define UPPER(v) __builtin_shufflevector(v, v, 2, 3)
#define JOINED(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3)
#endif
INLINE doubles lower(floats v) { return __builtin_convertvector(LOWER(v), doubles); }
INLINE doubles upper(floats v) { return __builtin_convertvector(UPPER(v), doubles); }
INLINE floats joined(doubles a, doubles b) {
	halves low = __builtin_convertvector(a, halves), high = __builtin_convertvector(b, halves);
	return JOINED(low, high);
}

INLINE floats square_root(floats v) {
#if LANES == 16
	return (floats)_mm512_sqrt_ps((__m512)v);
#elif LANES == 8
	return (floats)_mm256_sqrt_ps((__m256)v);
#elif defined(__SSE2__)
	return (floats)_mm_sqrt_ps((__m128)v);
#elif defined(__ARM_NEON) && defined(__aarch64__)
	return (floats)vsqrtq_f32((float32x4_t)v);
#else
	for (int j = 0; j < LANES; j++) v[j] = sqrtf(v[j]);
	return v;
#endif
}

// The float32 bits of LANES binary16: a NaN becomes quiet.
INLINE ints widen_f16(ints h) {
	ints sign = (h & 0x8000) << 16, size = (h & 0x7fff) << 13;
	// Read with float32's exponent bias the value is 2^-112 of the result.
	ints number = (ints)((floats)size * 0x1p112f);
	ints special = choose_bits(size | 0x7f800000, size | 0x7fc00000, size > (0x7c00 << 13));
	return sign | choose_bits(number, special, size >= (0x7c00 << 13));
}

// Round to nearest even; a NaN becomes quiet.
INLINE ints narrow_bf16(ints b) {
	ints rounded = b + 0x7fff + ((b >> 16) & 1);
	ints nan = (b & 0x7fffffff) > 0x7f800000;
	return choose_bits(rounded, b | 0x400000, nan) >> 16;
}
INLINE ints narrow_f16(ints b) {
	const int32_t infinity = 0x7c00, overflow = 0x47800000, min_normal = 0x38800000; // 65536, 2^-14
	ints sign = (b >> 16) & 0x8000, size = b & 0x7fffffff;
	ints moved = size - ((127 - 15) << 23);
	ints normal = (moved + 0xfff + ((moved >> 13) & 1)) >> 13;
	// The last bit of a float32 in [1/2, 1) is 2^-24, binary16's smallest step.
	ints subnormal = (ints)((floats)size + 0.5f) - 0x3f000000;
	ints nan = infinity | 0x200 | ((size >> 13) & 0x1ff);
	ints h = choose_bits(normal, subnormal, size < min_normal);
	h = choose_bits(h, (ints){0} + infinity, size >= overflow);
	return sign | choose_bits(h, nan, size > 0x7f800000);
}

// The elements of x from i on, of n in all.
INLINE floats get(int type, const void *x, long i, long n) {
	if (type == F32) return load((const float *)x + i, n - i, 0);
	shorts h = {0};
	if (n - i >= LANES)
		memcpy(&h, (const uint16_t *)x + i, sizeof h);
	else
		memcpy(&h, (const uint16_t *)x + i, 2 * (n - i));
	ints bits = __builtin_convertvector(h, ints);
	return (floats)(type == BF16 ? bits << 16 : widen_f16(bits));
}
INLINE void put(int type, void *x, long i, long n, floats v) {
	if (type == F32) {
		store((float *)x + i, v, n - i);
		return;
	}
	shorts h = __builtin_convertvector(type == BF16 ? narrow_bf16((ints)v) : narrow_f16((ints)v), shorts);
	if (n - i >= LANES)
		memcpy((uint16_t *)x + i, &h, sizeof h);
	else
		memcpy((uint16_t *)x + i, &h, 2 * (n - i));
}

// The address of row t, or null if the rows are absent.
INLINE void *row(int type, struct rows x, long t) { return x.first ? x.first + t * x.stride * (type == F32 ? 4 : 2) : NULL; }

// body for each type of elements: a statement of the constant T.
#define FOR_ACTIVATION(type, body)         \
	do {                               \
		if ((type) == F32) {       \
			enum { T = F32 };  \
			body;              \
		} else {                   \
			enum { T = BF16 }; \
			body;              \
		}                          \
	} while (0)
#define FOR_FLOAT(type, body)                       \
	do {                                        \
		if ((type) == F16) {                \
			enum { T = F16 };           \
			body;                       \
		} else {                            \
			FOR_ACTIVATION(type, body); \
		}                                   \
	} while (0)
