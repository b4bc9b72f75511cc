// Blocks and scales of 4-bit codes, for the families' packing.
#ifndef CODES_H
#define CODES_H

#include "kernels.h"

// The packing decodes codes in steps of 32, which never cross the bounds of a block.
enum { kernels_codes = 32 };

// Reports whether that holds: blocks of a power of two that is not smaller, and rows in
// memory that begin at a multiple. The rest is left to kernels_pack.
static inline int kernels_whole_blocks(const struct kernels_operand *o) {
	int power = (o->block & (o->block - 1)) == 0 && o->block >= kernels_codes;
	int nested = o->absmax || (o->nested_block & (o->nested_block - 1)) == 0;
	return power && nested && o->stride % kernels_codes == 0 && o->first % kernels_codes == 0;
}

// Rounds x: the compiler contracts no product in it with a sum outside.
static inline float kernels_rounded(float x) {
#if defined(__x86_64__)
	__asm__("" : "+x"(x));
#elif defined(__aarch64__)
	__asm__("" : "+w"(x));
#else
	volatile float memory = x;
	x = memory;
#endif
	return x;
}

// The scales of an operand with whole blocks.
struct kernels_scales {
	const struct kernels_operand *o;
	int block, nested; // log2 of the block sizes
};

static inline struct kernels_scales kernels_scales(const struct kernels_operand *o) {
	struct kernels_scales s = {o, __builtin_ctzl((unsigned long)o->block), o->absmax ? 0 : __builtin_ctzl((unsigned long)o->nested_block)};
	return s;
}

// Returns the scale of an element of the weight.
static inline float kernels_scale(const struct kernels_scales *s, long element) {
	long b = element >> s->block;
	if (s->o->absmax) return s->o->absmax[b];
	return kernels_rounded(s->o->map[s->o->absmax_codes[b]] * s->o->nested[b >> s->nested]) + s->o->offset;
}

#endif
