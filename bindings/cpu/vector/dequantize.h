// Weights of 4 bits.
enum { values_of_4_bits = 16 };

// The values of codes: with a variable shuffle of registers where there is one.
INLINE floats look_up(const float *values, ints codes) {
#if LANES == 16 && !defined(__clang__)
	return __builtin_shuffle(load(values, values_of_4_bits, 0), codes);
#elif LANES == 8 && !defined(__clang__)
	return __builtin_shuffle(load(values, LANES, 0), load(values + LANES, LANES, 0), codes);
#else
	floats v;
	for (int j = 0; j < LANES; j++) v[j] = values[codes[j]];
	return v;
#endif
}

// The codes of LANES elements from element i on: all lanes hold the 32 bits of their eight
// codes, shifted so that their own is lowest (the high nibble of a byte comes first).
INLINE ints codes_at(const uint8_t *codes, long i) {
	int32_t word;
	memcpy(&word, codes + i / 8 * 4, 4);
#if LANES == 16
	const ints shifts = {4, 0, 12, 8, 20, 16, 28, 24, 4, 0, 12, 8, 20, 16, 28, 24};
	int32_t next;
	memcpy(&next, codes + i / 8 * 4 + 4, 4);
	ints both = __builtin_shufflevector((ints){word, next}, (ints){0}, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
#elif LANES == 8
	const ints shifts = {4, 0, 12, 8, 20, 16, 28, 24};
	ints both = (ints){0} + word;
#else
	const ints shifts = {4, 0, 12, 8};
	ints both = (ints){0} + (word >> i % 8 * 4);
#endif
	return (both >> shifts) & 15;
}

static void dequantize(float *dst, const uint8_t *codes, long n, const float *values, const float *scales, long block) {
	for (long b = 0; b * block < n; b++)
		for (long i = b * block; i < (b + 1) * block; i += LANES) store(dst + i, look_up(values, codes_at(codes, i)) * scales[b], (b + 1) * block - i);
}
