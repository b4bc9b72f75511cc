// The scales of few rows' products.
#include "decode.h"

#include <stddef.h>

// Returns a / b; b is nearly always a power of two.
static inline long quotient(long a, long b) { return b & (b - 1) ? a / b : a >> __builtin_ctzl((unsigned long)b); }

// Writes the scales of n blocks from block on: map[code]·nested + offset, the product rounded
// before the sum. Looking up first leaves arithmetic that the compiler vectorizes.
static void nested_scales(float *restrict dst, const struct decode_map *split, const struct kernels_operand *w, long block, long n) {
	const float *restrict map = w->map;
	const float offset = w->offset;
	while (n > 0) {
		long number = quotient(block, w->nested_block), run = (number + 1) * w->nested_block - block;
		if (run > n) run = n;
		const uint8_t *restrict codes = w->absmax_codes + block;
		const float nested = w->nested[number];
		if (split) {
			decode_lookup(dst, split, codes, nested, offset, run);
		} else {
			for (long i = 0; i < run; i++) dst[i] = map[codes[i]];
			__asm__ volatile("" ::: "memory"); // neither a gather
			for (long i = 0; i < run; i++) dst[i] *= nested;
			__asm__ volatile("" ::: "memory"); // nor a fused multiply and add
			for (long i = 0; i < run; i++) dst[i] += offset;
		}
		dst += run, block += run, n -= run;
	}
}

void decode_scales(float *restrict dst, const struct decode_map *map, const struct kernels_operand *w, long first, long length, long n) {
	if (!w->absmax && length == w->block) {
		nested_scales(dst, map, w, quotient(first, length), n);
		return;
	}
	for (long i = 0; i < n; i++) {
		long block = quotient(first + i * length, w->block);
		if (w->absmax)
			dst[i] = w->absmax[block];
		else if (i && block == quotient(first + (i - 1) * length, w->block))
			dst[i] = dst[i - 1];
		else
			nested_scales(dst + i, NULL, w, block, 1);
	}
}

void decode_slab_scales(float *scales, const struct decode_map *map, const struct kernels_operand *w, long depth, long line, long lines, long from, long to, int small) {
	long length = small ? 32 : decode_unit, n = (to - from) / length, first = w->first + line * w->stride + from;
	if (n == depth / length && w->stride == depth) { // the lines' blocks are consecutive
		decode_scales(scales, map, w, first, length, lines * n);
		return;
	}
	for (long l = 0; l < lines; l++) decode_scales(scales + l * n, map, w, first + l * w->stride, length, n);
}
