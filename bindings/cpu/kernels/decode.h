// Products of a few rows of X with the lines of a weight where it lies: each byte of the
// weight is read once and multiplied as it is decoded, so a product costs what reading the
// weight costs.
#ifndef DECODE_H
#define DECODE_H

#include "kernels.h"

enum { decode_rows = 8 }; // the most rows of X

// The order of X's elements that a product reads, which depends on the weight.
enum decode_order {
	decode_plain,   // as they are
	decode_halves,  // of each 32 the 16 even ones, then the 16 odd ones
	decode_nibbles, // of each 64, seen as [8][4][2]: the odd and the even ones of each pair, pair by pair
	decode_bf16,    // as they are, rounded to bfloat16 as are the next
	decode_words,   // of each 128, or the last 64, seen as [32][2][2]: the odd and the even ones of each pair, pair by pair
};

// The elements of X are padded with zeros to a multiple of this.
enum { decode_unit = 64 };

struct decode_kernels {
	const char *name;
	int bf16; // X and the weight are rounded to bfloat16
	int (*available)(void);
	// Returns the order of X for lines of w.
	int (*order)(const struct kernels_operand *w, long depth);
	// Computes sums [rows, to - from], rows stride elements apart, of rows of X in w's order,
	// padded elements apart. A sum's bits depend on its row, its line and the depth alone.
	void (*dot)(float *sums, long stride, const void *x, long padded, int rows, const struct kernels_operand *w, long depth, long from, long to);
};

// Returns the kernels with number i in order of preference, NULL after the last.
const struct decode_kernels *decode_kernels(int i);

// Returns depth padded to decode_unit.
long decode_padded(long depth);

// Writes rows of X to dst in an order, each element times scale, decode_padded(depth)
// elements apart.
void decode_arrange(void *dst, const struct kernels_operand *x, int rows, long depth, int order, float scale);

// The bytes of the 256 elements of an operand's map, the first ones before the second ones.
struct decode_map {
	uint8_t bytes[4][256];
};

// Returns the map of w, written to map, if this processor looks up bytes in it faster than
// elements; NULL if not, or if w's scales need no map.
const struct decode_map *decode_split(struct decode_map *map, const struct kernels_operand *w);

// Writes n scales: the map's elements for codes, times nested, rounded, plus offset.
void decode_lookup(float *dst, const struct decode_map *map, const uint8_t *codes, float nested, float offset, long n);

// Writes the scales of n consecutive stretches of length elements, from element first of
// the flattened weight on. No stretch crosses a block. map is decode_split's.
void decode_scales(float *dst, const struct decode_map *map, const struct kernels_operand *w, long first, long length, long n);

enum { decode_slab = 4096 }; // elements of a line whose scales are computed ahead

// Writes the scales of lines from a depth on, a slab's width apart: one for each 64
// elements, or two in small blocks.
void decode_slab_scales(float *scales, const struct decode_map *map, const struct kernels_operand *w, long depth, long line, long lines, long from, long to, int small);

// A projection y = residual + bias + x·wᵀ + low·upᵀ of a few rows. The elements of Y and
// what is added to them are float32 or bfloat16; absent operands are NULL.
struct decode_part {
	int rows;
	long in, rank;
	const void *x, *low; // in the orders of w and up
	struct kernels_operand w, up;
	int bias_type, type; // of the bias; of Y and the residual
	const void *bias;
	const void *residual;
	void *y;
	long residual_stride, y_stride;
};

// Computes the columns [from, to) of Y.
void decode_project(const struct decode_kernels *k, const struct decode_part *p, long from, long to);

extern const struct decode_kernels decode_avx512bf16, decode_avx512, decode_avx2, decode_neon, decode_portable;

#endif
