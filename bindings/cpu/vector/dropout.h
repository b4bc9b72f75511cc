// Philox4x32-10 for eight counters at a time, and the masks of 64 columns. The
// numbers are package philox's.
static void dropout_factors(float *dst, long n, const uint32_t *key, uint32_t block, uint32_t row, uint32_t stream, uint32_t step, uint32_t threshold, float scale) {
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

static void mask(float *dst, const float *x, const float *factors, long n) {
	for (long i = 0; i < n; i++) dst[i] = x[i] * factors[i];
}

static void add_mask(float *dst, const float *x, const float *factors, long n) {
	for (long i = 0; i < n; i++) dst[i] += x[i] * factors[i];
}
