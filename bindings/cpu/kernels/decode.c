// What the kernels for few rows share: the order of X, scales, and what a projection adds.
#include "decode.h"

#include <stddef.h>
#include <string.h>

#include "bf16.h"

const struct decode_kernels *decode_kernels(int i) {
	static const struct decode_kernels *const all[] = {
#ifdef __x86_64__
		&decode_avx512bf16,
		&decode_avx512,
		&decode_avx2,
#endif
#ifdef __aarch64__
		&decode_neon,
#endif
		&decode_portable,
	};
	return i < (int)(sizeof all / sizeof *all) ? all[i] : NULL;
}

long decode_padded(long depth) { return (depth + decode_unit - 1) / decode_unit * decode_unit; }

// Reads n elements of a row from k on.
static void read(float *dst, const struct kernels_operand *x, int row, long k, long n) {
	long at = row * x->stride + k;
	if (x->type == kernels_f32)
		memcpy(dst, (const float *)x->data + at, n * sizeof(float));
	else if (x->type == kernels_bf16)
		for (long i = 0; i < n; i++) dst[i] = from_bf16_bits(((const uint16_t *)x->data)[at + i]);
	else
		kernels_expand(dst, x, row, k, n);
}

// Writes 64 elements in an order of float32.
static void order_floats(float *out, const float *in, int order) {
	switch (order) {
	case decode_halves:
		for (int h = 0; h < decode_unit; h += 32)
			for (int i = 0; i < 16; i++) {
				out[h + i] = in[h + 2 * i];
				out[h + 16 + i] = in[h + 2 * i + 1];
			}
		break;
	case decode_nibbles:
		for (int i = 0; i < 8; i++)
			for (int j = 0; j < 4; j++) {
				out[16 * j + i] = in[8 * i + 2 * j + 1];
				out[16 * j + 8 + i] = in[8 * i + 2 * j];
			}
		break;
	default: memcpy(out, in, decode_unit * sizeof *in);
	}
}

// Writes 64 elements in the order of decode_words, apart between each 16.
static void order_words(uint16_t *restrict out, const uint16_t *restrict in, int apart) {
	for (int i = 0; i < 16; i++) {
		uint64_t four;
		memcpy(&four, in + 4 * i, sizeof four);
		out[i] = (uint16_t)(four >> 16);
		out[apart + i] = (uint16_t)four;
		out[2 * apart + i] = (uint16_t)(four >> 48);
		out[3 * apart + i] = (uint16_t)(four >> 32);
	}
}

// Writes the elements of a row from k on in an order of bfloat16.
static void order_halves(uint16_t *row, const uint16_t *in, int order, long k, long padded) {
	int second = k / decode_unit % 2; // of two units
	if (order == decode_bf16)
		memcpy(row + k, in, decode_unit * sizeof *in);
	else if (second || k + decode_unit < padded)
		order_words(row + k - second * (decode_unit - 16), in, 32);
	else
		order_words(row + k, in, 16);
}

void decode_arrange(void *dst, const struct kernels_operand *x, int rows, long depth, int order, float scale) {
	long padded = decode_padded(depth);
	for (int r = 0; r < rows; r++)
		for (long k = 0; k < padded; k += decode_unit) {
			long n = depth - k < decode_unit ? depth - k : decode_unit;
			uint16_t half[decode_unit] = {0};
			if (order >= decode_bf16 && x->type == kernels_bf16 && scale == 1) {
				memcpy(half, (const uint16_t *)x->data + r * x->stride + k, n * sizeof *half);
				order_halves((uint16_t *)dst + r * padded, half, order, k, padded);
				continue;
			}
			float in[decode_unit] = {0};
			read(in, x, r, k, n);
			if (scale != 1)
				for (int i = 0; i < decode_unit; i++) in[i] *= scale;
			if (order < decode_bf16) {
				order_floats((float *)dst + r * padded + k, in, order);
				continue;
			}
			for (int i = 0; i < decode_unit; i++) half[i] = to_bf16_bits(in[i]);
			order_halves((uint16_t *)dst + r * padded, half, order, k, padded);
		}
}

static void add(float *sums, const void *p, int type, long at, long n) {
	if (type == kernels_f32)
		for (long i = 0; i < n; i++) sums[i] += ((const float *)p)[at + i];
	else
		for (long i = 0; i < n; i++) sums[i] += from_bf16_bits(((const uint16_t *)p)[at + i]);
}

enum { strip = 256 }; // lines whose sums are held at a time

void decode_project(const struct decode_kernels *k, const struct decode_part *p, long from, long to) {
	float sums[decode_rows][strip], update[decode_rows][strip], bias[strip];
	for (; from < to; from += strip) {
		long n = to - from < strip ? to - from : strip;
		k->dot(sums[0], strip, p->x, decode_padded(p->in), p->rows, &p->w, p->in, from, from + n);
		if (p->low) k->dot(update[0], strip, p->low, decode_padded(p->rank), p->rows, &p->up, p->rank, from, from + n);
		if (p->bias) {
			struct kernels_operand b = {.type = p->bias_type, .data = p->bias};
			read(bias, &b, 0, from, n);
		}
		for (int r = 0; r < p->rows; r++) {
			if (p->low) add(sums[r], update[r], kernels_f32, 0, n);
			if (p->bias) add(sums[r], bias, kernels_f32, 0, n);
			if (p->residual) add(sums[r], p->residual, p->type, r * p->residual_stride + from, n);
			long at = r * p->y_stride + from;
			if (p->type == kernels_f32)
				memcpy((float *)p->y + at, sums[r], n * sizeof(float));
			else
				for (long i = 0; i < n; i++) ((uint16_t *)p->y)[at + i] = to_bf16_bits(sums[r][i]);
		}
	}
}
