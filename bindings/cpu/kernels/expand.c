// Reads operands of any type, and packs them without regard to speed.
#include "kernels.h"

#include <string.h>

#include "codes.h"

static float from_bf16(uint16_t h) {
	uint32_t bits = (uint32_t)h << 16;
	float x;
	memcpy(&x, &bits, 4);
	return x;
}

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

// Rounds to nearest even; a NaN stays one.
static uint16_t to_bf16(float x) {
	uint32_t bits;
	memcpy(&bits, &x, 4);
	if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);
	return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// Returns the scale of a block. The product is rounded before the sum.
static float scale_of(const struct kernels_operand *o, long block) {
	if (o->absmax) return o->absmax[block];
	return kernels_rounded(o->map[o->absmax_codes[block]] * o->nested[block / o->nested_block]) + o->offset;
}

static float element(const struct kernels_operand *o, long line, long k) {
	long at = o->transposed ? k * o->stride + line : line * o->stride + k;
	switch (o->type) {
	case kernels_f32: return ((const float *)o->data)[at];
	case kernels_bf16: return from_bf16(((const uint16_t *)o->data)[at]);
	case kernels_f16: return from_f16(((const uint16_t *)o->data)[at]);
	default: at += o->first;
	}
	int code = ((const uint8_t *)o->data)[at / 2] >> (at % 2 ? 0 : 4) & 15;
	return o->values[code] * scale_of(o, at / o->block);
}

void kernels_expand(float *dst, const struct kernels_operand *o, long line, long from, long n) {
	for (long i = 0; i < n; i++) dst[i] = element(o, line, from + i);
}

void kernels_pack(void *dst, const struct kernels_operand *o, long lines, long depth, float scale, int width, int unit, int bf16) {
	long padded = (depth + unit - 1) / unit * unit;
	for (long first = 0; first < lines; first += width) {
		for (long k = 0; k < padded; k += unit)
			for (int i = 0; i < width; i++)
				for (int u = 0; u < unit; u++) {
					float x = first + i < lines && k + u < depth ? element(o, first + i, k + u) * scale : 0;
					long at = first * padded + k * width + i * unit + u;
					if (bf16)
						((uint16_t *)dst)[at] = to_bf16(x);
					else
						((float *)dst)[at] = x;
				}
	}
}
