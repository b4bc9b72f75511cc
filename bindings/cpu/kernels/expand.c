// Reads operands of any type, and packs them without regard to speed.
#include "kernels.h"

#include <string.h>

#include "bf16.h"
#include "codes.h"

static float from_f16(uint16_t h) {
	uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 1023, bits;
	float x;
	if (exponent == 0) {
		x = (float)fraction * 0x1p-24f;
		return sign ? -x : x;
	}
	bits = sign | fraction << 13 | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23);
	memcpy(&x, &bits, 4);
	return x;
}

// Returns the scale of a block. The product is rounded before the sum.
static float scale_of(const struct kernels_operand *o, long block) {
	if (o->absmax) return o->absmax[block];
	return kernels_rounded(o->map[o->absmax_codes[block]] * o->nested[block / o->nested_block]) + o->offset;
}

// Writes n elements of the flattened weight from element at on.
static void decode(float *dst, const struct kernels_operand *o, long at, long n) {
	const uint8_t *codes = o->data;
	while (n > 0) {
		long block = at / o->block, run = (block + 1) * o->block - at, i = 0;
		float scale = scale_of(o, block), values[16];
		if (run > n) run = n;
		for (int c = 0; c < 16; c++) values[c] = o->values[c] * scale;
		if (at % 2 != 0) dst[i++] = values[codes[at / 2] & 15];
		for (; i + 1 < run; i += 2) {
			uint8_t pair = codes[(at + i) / 2];
			dst[i] = values[pair >> 4];
			dst[i + 1] = values[pair & 15];
		}
		if (i < run) dst[i] = values[codes[(at + i) / 2] >> 4];
		dst += run, at += run, n -= run;
	}
}

// Writes n elements of the flattened weight of 8-bit codes from element at on.
static void decode_int8(float *restrict dst, const struct kernels_operand *o, long at, long n) {
	const int8_t *restrict codes = (const int8_t *)o->data + at;
	for (long i = 0; i < n;) {
		long block = (at + i) / o->block, end = (block + 1) * o->block - at;
		float scale = from_f16(o->halves[block]);
		if (end > n) end = n;
		for (; i < end; i++) dst[i] = (float)codes[i] * scale;
	}
}

// Returns the i-th number of 16 bits at any address.
static uint16_t half(const char *p, long i) {
	uint16_t h;
	memcpy(&h, p + i * (long)sizeof h, sizeof h);
	return h;
}

// Writes n elements that lie one after the other in memory from element at on. Dense ones
// may lie at any address.
static void expand(float *dst, const struct kernels_operand *o, long at, long n) {
	const char *data = o->data;
	switch (o->type) {
	case kernels_f32: memcpy(dst, data + at * (long)sizeof *dst, (size_t)n * sizeof *dst); break;
	case kernels_bf16:
		for (long i = 0; i < n; i++) dst[i] = from_bf16_bits(half(data, at + i));
		break;
	case kernels_f16:
		for (long i = 0; i < n; i++) dst[i] = from_f16(half(data, at + i));
		break;
	case kernels_int8: decode_int8(dst, o, o->first + at, n); break;
	default: decode(dst, o, o->first + at, n);
	}
}

void kernels_expand(float *dst, const struct kernels_operand *o, long line, long from, long n) {
	if (!o->transposed)
		expand(dst, o, line * o->stride + from, n);
	else
		for (long i = 0; i < n; i++) expand(dst + i, o, (from + i) * o->stride + line, 1);
}

void kernels_expand_rows(float *dst, const struct kernels_operand *o, long line, long lines, long from, long depth) {
	long rows = o->transposed ? depth : lines, n = o->transposed ? lines : depth, at = o->transposed ? from * o->stride + line : line * o->stride + from;
	for (long r = 0; r < rows; r++) expand(dst + r * n, o, at + r * o->stride, n);
}

static inline void put(void *dst, long at, float x, int bf16) {
	if (bf16)
		((uint16_t *)dst)[at] = to_bf16_bits(x);
	else
		((float *)dst)[at] = x;
}

static inline __attribute__((always_inline)) void pack(void *dst, const struct kernels_operand *o, long lines, long depth, float scale, int width, int unit, int bf16) {
	enum { most = 256 }; // elements that are expanded at once
	float x[most];
	long padded = (depth + unit - 1) / unit * unit, bytes = bf16 ? 2 : 4;
	for (long first = 0; first < lines; first += width) {
		char *panel = (char *)dst + first * padded * bytes;
		long n = lines - first < width ? lines - first : width;
		if (n < width || depth < padded) memset(panel, 0, (size_t)(padded * width * bytes));
		if (o->transposed) {
			for (long k = 0; k < depth; k++)
				for (long from = 0; from < n; from += most) {
					long part = n - from < most ? n - from : most, at = k / unit * unit * width + from * unit + k % unit;
					expand(x, o, k * o->stride + first + from, part);
					for (long i = 0; i < part; i++) put(panel, at + i * unit, x[i] * scale, bf16);
				}
			continue;
		}
		for (long i = 0; i < n; i++)
			for (long from = 0; from < depth; from += most) {
				long part = depth - from < most ? depth - from : most;
				expand(x, o, (first + i) * o->stride + from, part);
				for (long k = 0; k < part; k++) put(panel, (from + k) / unit * unit * width + i * unit + (from + k) % unit, x[k] * scale, bf16);
			}
	}
}

void kernels_pack(void *dst, const struct kernels_operand *o, long lines, long depth, float scale, int width, int unit, int bf16) {
	// The compiler makes a loop of its own for each.
	if (unit == 1 && !bf16)
		pack(dst, o, lines, depth, scale, width, 1, 0);
	else if (unit == 2 && bf16)
		pack(dst, o, lines, depth, scale, width, 2, 1);
	else
		pack(dst, o, lines, depth, scale, width, unit, bf16);
}
