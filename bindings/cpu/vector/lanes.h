// Groups of LANES elements in the compiler's vector types. The last, partial group is
// copied to a full one and back, so that an element's bits do not depend on its position.
typedef float floats __attribute__((vector_size(4 * LANES)));
typedef int32_t ints __attribute__((vector_size(4 * LANES)));
typedef uint16_t shorts __attribute__((vector_size(2 * LANES)));
typedef float halves __attribute__((vector_size(2 * LANES)));
typedef double doubles __attribute__((vector_size(4 * LANES))); // half as many

#define INLINE static inline __attribute__((always_inline))
#define RARE static __attribute__((cold, noinline))

INLINE floats all(float x) { return (floats){0} + x; }

// Partial groups, of n elements. They are functions to keep the groups of a loop in
// registers.
RARE floats load_part(const float *p, long n, float fill) {
	floats v = all(fill);
	memcpy(&v, p, 4 * n);
	return v;
}
RARE void store_part(float *p, floats v, long n) { memcpy(p, &v, 4 * n); }
RARE shorts load_short_part(const uint16_t *p, long n) {
	shorts v = {0};
	memcpy(&v, p, 2 * n);
	return v;
}
RARE void store_short_part(uint16_t *p, shorts v, long n) { memcpy(p, &v, 2 * n); }

INLINE floats load(const float *p, long n, float fill) {
	if (n < LANES) return load_part(p, n, fill);
	floats v;
	memcpy(&v, p, sizeof v);
	return v;
}
INLINE void store(float *p, floats v, long n) {
	if (n < LANES)
		store_part(p, v, n);
	else
		memcpy(p, &v, sizeof v);
}

// b where the mask is set, else a.
INLINE floats choose(floats a, floats b, ints mask) {
#if LANES == 8
	return (floats)_mm256_blendv_ps((__m256)a, (__m256)b, (__m256)mask);
#else
	return (floats)((((ints)a) & ~mask) | (((ints)b) & mask));
#endif
}
INLINE ints choose_bits(ints a, ints b, ints mask) { return (ints)choose((floats)a, (floats)b, mask); }

// The smaller and the larger; b if one is a NaN.
INLINE floats least(floats a, floats b) {
#if LANES == 16
	return (floats)_mm512_min_ps((__m512)a, (__m512)b);
#elif LANES == 8
	return (floats)_mm256_min_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__)
	return (floats)_mm_min_ps((__m128)a, (__m128)b);
#else
	return choose(b, a, a < b);
#endif
}
INLINE floats most(floats a, floats b) {
#if LANES == 16
	return (floats)_mm512_max_ps((__m512)a, (__m512)b);
#elif LANES == 8
	return (floats)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__)
	return (floats)_mm_max_ps((__m128)a, (__m128)b);
#else
	return choose(b, a, a > b);
#endif
}

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

INLINE ints widen_shorts(shorts h) {
#if LANES == 8
	return (ints)_mm256_cvtepu16_epi32((__m128i)h);
#else
	return __builtin_convertvector(h, ints);
#endif
}
// The low halves of numbers.
INLINE shorts narrow_shorts(ints x) {
#if LANES == 8
	x &= 0xffff; // the instruction saturates
	return (shorts)_mm_packus_epi32(_mm256_castsi256_si128((__m256i)x), _mm256_extracti128_si256((__m256i)x, 1));
#else
	return __builtin_convertvector(x, shorts);
#endif
}

#if LANES == 16
// The high half of each number: bfloat16 is that of a float32.
INLINE floats from_bf16(shorts h) {
	const uint32_t high = 0xaaaaaaaa;
	const struct { _Alignas(64) uint16_t at[32]; } from = {{0, 0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8, 0, 9, 0, 10, 0, 11, 0, 12, 0, 13, 0, 14, 0, 15}};
	return (floats)_mm512_maskz_permutexvar_epi16(high, _mm512_load_si512(&from), _mm512_castsi256_si512((__m256i)h));
}
INLINE shorts to_bf16(floats v) {
	const struct { _Alignas(64) uint16_t at[32]; } from = {{1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31}};
	__m512i bits = (__m512i)v, rounded = _mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff));
	rounded = _mm512_mask_add_epi32(rounded, _mm512_test_epi32_mask(bits, _mm512_set1_epi32(0x10000)), rounded, _mm512_set1_epi32(1));
	rounded = _mm512_mask_or_epi32(rounded, _mm512_cmp_ps_mask((__m512)v, (__m512)v, _CMP_UNORD_Q), bits, _mm512_set1_epi32(0x400000));
	return (shorts)_mm512_castsi512_si256(_mm512_permutexvar_epi16(_mm512_load_si512(&from), rounded));
}
#else
INLINE floats from_bf16(shorts h) { return (floats)(widen_shorts(h) << 16); }
INLINE shorts to_bf16(floats v) {
	ints bits = (ints)v, rounded = bits + 0x7fff + ((bits >> 16) & 1);
	return narrow_shorts(choose_bits(rounded, bits | 0x400000, v != v) >> 16);
}
#endif

// The elements of x from i on, of n in all.
INLINE floats get(int type, const void *x, long i, long n) {
	if (type == F32) return load((const float *)x + i, n - i, 0);
	const uint16_t *p = (const uint16_t *)x + i;
	shorts h;
	if (n - i < LANES)
		h = load_short_part(p, n - i);
	else
		memcpy(&h, p, sizeof h);
	return type == BF16 ? from_bf16(h) : (floats)widen_f16(widen_shorts(h));
}
INLINE void put(int type, void *x, long i, long n, floats v) {
	if (type == F32) {
		store((float *)x + i, v, n - i);
		return;
	}
	uint16_t *p = (uint16_t *)x + i;
	shorts h = type == BF16 ? to_bf16(v) : narrow_shorts(narrow_f16((ints)v));
	if (n - i < LANES)
		store_short_part(p, h, n - i);
	else
		memcpy(p, &h, sizeof h);
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
