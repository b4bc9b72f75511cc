// What the kernels for few rows share: the order of X, scales, and what a projection adds.
#include "decode.h"

#include <stddef.h>
#include <string.h>

const struct decode_kernels *decode_kernels(int i) {
	static const struct decode_kernels *const all[] = {
#ifdef __x86_64__
		&decode_avx512,
		&decode_avx2,
#endif
		&decode_portable,
	};
	return i < (int)(sizeof all / sizeof *all) ? all[i] : NULL;
}

long decode_padded(long depth) { return (depth + decode_unit - 1) / decode_unit * decode_unit; }

static inline float wide(const void *p, int type, long i) {
	if (type == kernels_f32) return ((const float *)p)[i];
	uint32_t bits = (uint32_t)((const uint16_t *)p)[i] << 16;
	float x;
	memcpy(&x, &bits, 4);
	return x;
}

// Reads n elements of a row from k on.
static void read(float *dst, const struct kernels_operand *x, int row, long k, long n) {
	long at = row * x->stride + k;
	if (x->type == kernels_f32)
		memcpy(dst, (const float *)x->data + at, n * sizeof(float));
	else if (x->type == kernels_bf16)
		for (long i = 0; i < n; i++) dst[i] = wide(x->data, kernels_bf16, at + i);
	else
		kernels_expand(dst, x, row, k, n);
}

void decode_arrange(float *dst, const struct kernels_operand *x, int rows, long depth, int order, float scale) {
	long padded = decode_padded(depth);
	for (int r = 0; r < rows; r++, dst += padded)
		for (long k = 0; k < padded; k += decode_unit) {
			float in[decode_unit] = {0}, *out = dst + k;
			read(in, x, r, k, depth - k < decode_unit ? depth - k : decode_unit);
			if (scale != 1)
				for (int i = 0; i < decode_unit; i++) in[i] *= scale;
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
			default: memcpy(out, in, sizeof in);
			}
		}
}

// Returns map[code]·nested + offset. The product is rounded before the sum.
static inline float scale_of(const struct kernels_operand *w, long block) {
	volatile float product = w->map[w->absmax_codes[block]] * w->nested[block / w->nested_block];
	return product + w->offset;
}

void decode_scales(float *dst, const struct kernels_operand *w, long first, long length, long n) {
	if (w->absmax) {
		for (long i = 0; i < n; i++) dst[i] = w->absmax[(first + i * length) / w->block];
		return;
	}
	if (length != w->block) {
		for (long i = 0; i < n; i++) dst[i] = scale_of(w, (first + i * length) / w->block);
		return;
	}
	// A run of blocks that share a nested scale: look-ups first, as no instruction gathers
	// faster, then arithmetic.
	for (long block = first / w->block, end = block + n; block < end;) {
		long stop = (block / w->nested_block + 1) * w->nested_block;
		if (stop > end) stop = end;
		long run = stop - block;
		const uint8_t *codes = w->absmax_codes + block;
		float nested = w->nested[block / w->nested_block];
		for (long i = 0; i < run; i++) dst[i] = w->map[codes[i]];
		for (long i = 0; i < run; i++) dst[i] *= nested;
		__asm__ volatile("" ::: "memory"); // no fused multiply and add
		for (long i = 0; i < run; i++) dst[i] += w->offset;
		dst += run;
		block = stop;
	}
}

// Rounds to nearest even; a NaN stays one.
static inline uint16_t narrow(float x) {
	uint32_t bits;
	memcpy(&bits, &x, 4);
	uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16, nan = bits >> 16 | 0x40;
	return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? nan : rounded);
}

static void add(float *sums, const void *p, int type, long at, long n) {
	if (type == kernels_f32)
		for (long i = 0; i < n; i++) sums[i] += ((const float *)p)[at + i];
	else
		for (long i = 0; i < n; i++) sums[i] += wide(p, kernels_bf16, at + i);
}

enum { strip = 64 }; // lines whose sums are held at a time

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
				for (long i = 0; i < n; i++) ((uint16_t *)p->y)[at + i] = narrow(sums[r][i]);
		}
	}
}
