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

// How attention's scores are made of products: scale, cap and add the bias. The columns of
// a tile are keys, its rows queries; position is the first column's.
struct scores {
	float scale;
	float limit;       // of the cap; 0: none
	const float *bias; // of the columns; null: none
	long biases;       // number of them

	// Row i sees the window columns up to end + i, without it.
	long end, window;

	// Dropout, as vector_dropout_factors draws it, in row + i·heads.
	int drops;
	uint32_t key[2], stream, step, threshold, row, heads, position;
	float keep;
};

// The maximum number of columns of a tile of scores.
enum { score_columns = 512 };

// The maximum number of query heads that read a cache together.
enum { cached_heads = 4 };

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
	X(void, softmax, (int type, float *s, long stride, long rows, long cols, const struct scores *how, float *most, double *sums, float *o, long dim), \
	  (type, s, stride, rows, cols, how, most, sums, o, dim)) \
	X(void, score_gradients, (int type, float *s, float *d, long stride, long rows, long cols, const struct scores *how, const float *lse, long lse_stride, const double *delta), \
	  (type, s, d, stride, rows, cols, how, lse, lse_stride, delta)) \
	X(void, row_dots, (double *dots, int type, struct rows x, struct rows y, long rows, long cols), (dots, type, x, y, rows, cols)) \
	X(void, scale_rows, (int type, struct rows dst, const float *src, long rows, long cols, const float *factors, long step), \
	  (type, dst, src, rows, cols, factors, step)) \
	X(void, attend_cached, (float *o, float *most, double *sum, const float *q, int heads, long dim, int type, struct rows k, struct rows v, long n, const struct scores *how, long bias_stride), \
	  (o, most, sum, q, heads, dim, type, k, v, n, how, bias_stride)) \
	X(void, activate, (int kind, int type, struct rows y, struct rows g, struct rows u, long rows, long cols), (kind, type, y, g, u, rows, cols)) \
	X(void, activate_backward, (int kind, int type, struct rows dg, struct rows du, struct rows g, struct rows u, struct rows dy, long rows, long cols), \
	  (kind, type, dg, du, g, u, dy, rows, cols)) \
	X(void, dequantize, (float *dst, const uint8_t *codes, long n, const float *values, const float *scales, long block), \
	  (dst, codes, n, values, scales, block)) \
	X(void, dropout_factors, \
	  (float *dst, long n, const uint32_t *key, uint32_t block, uint32_t row, uint32_t stream, uint32_t step, uint32_t threshold, float scale), \
	  (dst, n, key, block, row, stream, step, threshold, scale)) \
	X(void, mask, (float *dst, const float *x, const float *factors, long n), (dst, x, factors, n)) \
	X(void, add_mask, (float *dst, const float *x, const float *factors, long n), (dst, x, factors, n))

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
