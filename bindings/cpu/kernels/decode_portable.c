// Products of few rows for any processor, in the compiler's vector types.
#include "decode.h"

#include <string.h>

typedef float f4 __attribute__((vector_size(16), aligned(4)));

enum { lanes = 16 }; // partial sums of an element

static int available(void) { return 1; }

static int order(const struct kernels_operand *w, long depth) {
	(void)w, (void)depth;
	return decode_plain;
}

// Decodes the elements of a line from k on to dst: pairs has the two values of each byte.
static void decode(float *dst, const struct kernels_operand *w, const float (*pairs)[2], long line, long k, long n) {
	long first = w->first + line * w->stride + k;
	if (!pairs || first % 2 || n % 2) {
		kernels_expand(dst, w, line, k, n);
		return;
	}
	const uint8_t *codes = (const uint8_t *)w->data + first / 2;
	for (long i = 0; i < n / 2; i++) memcpy(dst + 2 * i, pairs[codes[i]], sizeof *pairs);
	for (long i = 0; i < n;) {
		long block = (first + i) / w->block, end = (block + 1) * w->block - first;
		float scale;
		decode_scales(&scale, NULL, w, first + i, 1, 1);
		if (end > n) end = n;
		for (; i < end; i++) dst[i] *= scale;
	}
}

static void dot(float *sums, long stride, const void *x, long padded, int rows, const struct kernels_operand *w, long depth, long from, long to) {
	float pairs[256][2];
	if (w->type == kernels_coded)
		for (int i = 0; i < 256; i++) {
			pairs[i][0] = w->values[i >> 4];
			pairs[i][1] = w->values[i & 15];
		}
	for (long line = from; line < to; line++) {
		f4 sum[decode_rows][lanes / 4] = {{{0}}};
		for (long k = 0; k < depth; k += decode_unit) {
			float decoded[decode_unit] = {0};
			long n = depth - k < decode_unit ? depth - k : decode_unit;
			decode(decoded, w, w->type == kernels_coded ? pairs : 0, line, k, n);
			for (int r = 0; r < rows; r++) {
				const float *in = (const float *)x + r * padded + k;
				for (int i = 0; i < decode_unit; i += 4) sum[r][i / 4 % (lanes / 4)] += *(const f4 *)(decoded + i) * *(const f4 *)(in + i);
			}
		}
		for (int r = 0; r < rows; r++) {
			f4 s = sum[r][0] + sum[r][2] + (sum[r][1] + sum[r][3]);
			sums[r * stride + line - from] = s[0] + s[2] + (s[1] + s[3]);
		}
	}
}

const struct decode_kernels decode_portable = {.name = "portable", .available = available, .order = order, .dot = dot};
