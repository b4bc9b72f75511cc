// Conversions of single bfloat16 numbers.
#ifndef BF16_H
#define BF16_H

#include <stdint.h>
#include <string.h>

static inline float from_bf16_bits(uint16_t h) {
	uint32_t bits = (uint32_t)h << 16;
	float x;
	memcpy(&x, &bits, 4);
	return x;
}

// Rounds to nearest even; a NaN stays one.
static inline uint16_t to_bf16_bits(float x) {
	uint32_t bits;
	memcpy(&bits, &x, 4);
	uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16, nan = bits >> 16 | 0x40;
	return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? nan : rounded);
}

#endif
