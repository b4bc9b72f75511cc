// Functions for any number of rows from one for a constant number.
#ifndef DECODE_ROWS_H
#define DECODE_ROWS_H

#include "decode.h"

// Reports whether any 64 elements of a line, from a multiple of 64 on, are whole bytes of
// 4-bit codes of one block or of two of 32.
static inline int decode_in_place(const struct kernels_operand *w, long depth) {
	return w->type == kernels_coded && depth % decode_unit == 0 && w->stride % decode_unit == 0 && w->first % decode_unit == 0 && (w->block == 32 || w->block % decode_unit == 0);
}

// Reports whether any 32 elements of a line, from a multiple of 32 on, are 8-bit codes of one block.
static inline int decode_bytes_in_place(const struct kernels_operand *w, long depth) {
	return w->type == kernels_int8 && depth % 32 == 0 && w->stride % 32 == 0 && w->first % 32 == 0 && w->block % 32 == 0;
}

enum { ahead = 4096, ahead_codes = 1024 }; // bytes between a read of a weight and its prefetch

// Short lines one after the other are read the fastest. Beside long ones X leaves the first
// cache, unless several lines share it.
enum { decode_long = 4096 };

// Multiplies all lines in groups, and the rest of them alone.
#define DECODE_LINES(rows, lines, multiply, how) \
	for (; from + lines <= to; from += lines, sums += lines) multiply(sums, stride, x, padded, w, depth, from, rows, lines, how); \
	for (; from < to; from++, sums++) multiply(sums, stride, x, padded, w, depth, from, rows, 1, how);

#define DECODE_CASE(rows, lines, multiply, how) \
	case rows: DECODE_LINES(rows, lines, multiply, how) break;

// Defines a function that calls multiply, with the argument how, for lines that share X: one
// or four for one row, twice few for two, few for three and four.
#define DECODE_DOT(name, multiply, how, one, few) \
	TARGET static void name(float *sums, long stride, const void *x, long padded, int rows, const struct kernels_operand *w, long depth, long from, long to) { \
		if (rows == 1 && depth < decode_long) { \
			DECODE_LINES(1, one, multiply, how) \
			return; \
		} \
		switch (rows) { \
			DECODE_CASE(1, 4, multiply, how) \
			DECODE_CASE(2, 2 * few, multiply, how) \
			DECODE_CASE(3, few, multiply, how) \
			DECODE_CASE(4, few, multiply, how) \
			DECODE_CASE(5, 1, multiply, how) \
			DECODE_CASE(6, 1, multiply, how) \
			DECODE_CASE(7, 1, multiply, how) \
			DECODE_CASE(8, 1, multiply, how) \
		} \
	}

#endif
