// The inner loops that Go's compiler does not vectorize. See vector.go.
#ifndef QLORA_VECTOR_H
#define QLORA_VECTOR_H

#include <stdint.h>

// The types of elements; the numbers are vector.go's.
enum { F32, BF16, F16 };

// Rows of elements of any type, stride elements apart; first is null if they are absent.
struct rows {
	uint8_t *first;
	long stride;
};

// All functions: result, name, parameters, arguments. The elements of rows have the type
// that precedes them.
#define VECTOR_FUNCTIONS(X) \
	X(void, convert, (int to, struct rows dst, int from, struct rows src, long rows, long cols), (to, dst, from, src, rows, cols)) \
	X(void, add_scaled, (float *dst, float factor, int type, struct rows x, long n), (dst, factor, type, x, n)) \
	X(float, max, (const float *x, long n), (x, n)) \
	X(double, sum, (const float *x, long n), (x, n)) \
	X(double, dot, (const float *x, const float *y, long n), (x, y, n)) \
	X(double, exp_sum, (float *x, long n, float shift), (x, n, shift)) \
	X(void, probabilities, (float *p, float *dp, long n, float lse, float delta), (p, dp, n, lse, delta)) \
	X(void, cap, (float *x, long n, float limit), (x, n, limit)) \
	X(void, scale, (float *x, long n, float factor), (x, n, factor)) \
	X(void, add, (float *x, long n, float term), (x, n, term)) \
	X(void, activate, (int kind, int type, struct rows y, struct rows g, struct rows u, long rows, long cols), (kind, type, y, g, u, rows, cols)) \
	X(void, activate_backward, (int kind, int type, struct rows dg, struct rows du, struct rows g, struct rows u, struct rows dy, long rows, long cols), \
	  (kind, type, dg, du, g, u, dy, rows, cols)) \
	X(void, dequantize, (float *dst, const uint8_t *codes, long n, const float *values, const float *scales, long block), \
	  (dst, codes, n, values, scales, block)) \
	X(void, dropout_factors, \
	  (float *dst, long n, const uint32_t *key, uint32_t block, uint32_t row, uint32_t stream, uint32_t step, uint32_t threshold, float scale), \
	  (dst, n, key, block, row, stream, step, threshold, scale)) \
	X(void, mask, (float *dst, const float *x, const float *factors, long n), (dst, x, factors, n)) \
	X(void, add_mask, (float *dst, const float *x, const float *factors, long n), (dst, x, factors, n)) \
	X(void, store_sums, \
	  (int type, struct rows y, const float *sums, long stride, const float *gain, const float *bias, struct rows residual, long rows, long cols), \
	  (type, y, sums, stride, gain, bias, residual, rows, cols)) \
	X(void, thin, (float *sums, long stride, int type, struct rows x, const float *u, long rank, long tokens, long cols), \
	  (sums, stride, type, x, u, rank, tokens, cols)) \
	X(void, drop, \
	  (float *dst, long stride, int type, struct rows x, const uint32_t *key, uint32_t block, uint32_t first, uint32_t stream, uint32_t step, \
	   uint32_t threshold, float scale, long rows, long cols, int add, int complement), \
	  (dst, stride, type, x, key, block, first, stream, step, threshold, scale, rows, cols, add, complement))

// A processor's bodies of all functions.
struct vector_bodies {
	const char *name;
#define FIELD(result, function, parameters, arguments) result(*function) parameters;
	VECTOR_FUNCTIONS(FIELD)
#undef FIELD
};

// vector_max and so on: the bodies in use.
#define DECLARE(result, function, parameters, arguments) result vector_##function parameters;
VECTOR_FUNCTIONS(DECLARE)
#undef DECLARE

// Returns the name of the i-th of the processor's bodies, the fastest first, or null.
const char *vector_body(int i);

// Makes the i-th bodies those in use.
void vector_use(int i);

#endif
