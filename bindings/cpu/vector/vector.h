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

// count heads of dim columns, in groups of width columns that start period columns apart.
struct heads {
	long count, dim, width, period;
};

// A stream of random numbers of a step: of dropout, which keeps an element whose 16 bits
// reach the threshold and multiplies it by scale, and of noise.
struct dropout {
	uint32_t key[2], stream, step, threshold;
	float scale;
};
struct noise {
	uint32_t key[2], stream, step;
	float bound;
};

// The scalars of optimizers' updates. See vector.go.
struct adamw {
	float clip, decay, beta1, fresh1, beta2, fresh2, step, root2, eps;
	int bitsandbytes;
};
struct lion {
	float clip, decay, beta1, fresh1, beta2, fresh2, lr;
};
struct sgd {
	float clip, decay, lr, momentum, fresh;
	int first, nesterov;
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
	struct dropout dropout;
	uint32_t row, heads, position;
};

// The maximum number of columns of a tile of scores.
enum { score_columns = 512 };

// The maximum number of query heads that read a cache together.
enum { cached_heads = 4 };
// What drop makes of its result: dropout(x), itself plus dropout(x), or x - dropout(x).
enum { drop_set, drop_add, drop_lost };

// All functions: result, name, parameters, arguments. The elements of rows have the type
// that precedes them.
#define VECTOR_FUNCTIONS(X) \
	X(void, convert, (int to, struct rows dst, int from, struct rows src, long rows, long cols), (to, dst, from, src, rows, cols)) \
	X(void, add_scaled, (float *dst, float factor, const float *x, long n), (dst, factor, x, n)) \
	X(float, max, (const float *x, long n), (x, n)) \
	X(double, sum, (const float *x, long n), (x, n)) \
	X(double, dot, (const float *x, const float *y, long n), (x, y, n)) \
	X(double, exp_sum, (float *x, long n, float shift), (x, n, shift)) \
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
	X(void, merge_cached, (int type, struct rows out, float *o, float *most, double *sums, long stride, long pieces, int heads, long dim, const float *sinks), \
	  (type, out, o, most, sums, stride, pieces, heads, dim, sinks)) \
	X(void, activate, (int kind, int type, struct rows y, struct rows g, struct rows u, long rows, long cols), (kind, type, y, g, u, rows, cols)) \
	X(void, activate_backward, (int kind, int type, struct rows dg, struct rows du, struct rows g, struct rows u, struct rows dy, long rows, long cols), \
	  (kind, type, dg, du, g, u, dy, rows, cols)) \
	X(void, dropout_factors, (float *dst, long n, const struct dropout *d, uint32_t block, uint32_t row), (dst, n, d, block, row)) \
	X(void, mask, (float *dst, const float *x, const float *factors, long n), (dst, x, factors, n)) \
	X(void, add_mask, (float *dst, const float *x, const float *factors, long n), (dst, x, factors, n)) \
	X(void, add_branch, \
	  (int type, struct rows y, struct rows x, struct rows residual, long rows, long cols, float scale, const struct dropout *d, uint32_t first), \
	  (type, y, x, residual, rows, cols, scale, d, first)) \
	X(void, embed, \
	  (int type, struct rows y, int table, struct rows x, const int32_t *ids, long rows, long cols, int accumulate, float scale, const struct noise *d, \
	   uint32_t first), \
	  (type, y, table, x, ids, rows, cols, accumulate, scale, d, first)) \
	X(void, embed_backward, \
	  (float *table, long stride, int type, struct rows dy, const int32_t *ids, long rows, long cols, int32_t pad, float scale), \
	  (table, stride, type, dy, ids, rows, cols, pad, scale)) \
	X(void, norm, \
	  (int type, int centered, struct rows y, struct rows x, const float *weight, const float *bias, long turns, long turn, long rows, long cols, float eps, \
	   float *means, float *rstd), \
	  (type, centered, y, x, weight, bias, turns, turn, rows, cols, eps, means, rstd)) \
	X(void, norm_backward, \
	  (int type, struct rows dx, struct rows x, struct rows dy, const float *weight, long turns, long turn, long rows, long cols, const float *means, \
	   const float *rstd, int accumulate), \
	  (type, dx, x, dy, weight, turns, turn, rows, cols, means, rstd, accumulate)) \
	X(void, norm_weight_backward, \
	  (float *dst, int type, struct rows x, struct rows dy, long rows, long cols, const float *means, const float *rstd, long turns), \
	  (dst, type, x, dy, rows, cols, means, rstd, turns)) \
	X(void, sum_rows, (float *dst, int type, struct rows x, long rows, long cols), (dst, type, x, rows, cols)) \
	X(void, rope, \
	  (int type, struct rows x, struct heads h, const int32_t *positions, const float *cosine, const float *sine, long half, float sign, int interleaved, \
	   long rows), \
	  (type, x, h, positions, cosine, sine, half, sign, interleaved, rows)) \
	X(void, clamp, (int type, struct rows x, long n, float limit), (type, x, n, limit)) \
	X(void, clamp_backward, (int type, struct rows x, struct rows dx, long n, float limit), (type, x, dx, n, limit)) \
	X(void, store_sums, \
	  (int type, struct rows y, const float *sums, long stride, const float *gain, const float *bias, struct rows residual, long rows, long cols), \
	  (type, y, sums, stride, gain, bias, residual, rows, cols)) \
	X(void, thin, (float *sums, long stride, int type, struct rows x, const float *u, long rank, long tokens, long cols), \
	  (sums, stride, type, x, u, rank, tokens, cols)) \
	X(void, drop, \
	  (float *dst, long stride, int type, struct rows x, const struct dropout *d, uint32_t block, uint32_t first, long rows, long cols, int mode), \
	  (dst, stride, type, x, d, block, first, rows, cols, mode)) \
	X(void, adamw, (const struct adamw *s, float *w, const float *g, float *m, float *v, long n), (s, w, g, m, v, n)) \
	X(void, lion, (const struct lion *s, float *w, const float *g, float *m, long n), (s, w, g, m, n)) \
	X(void, sgd, (const struct sgd *s, float *w, const float *g, float *m, long n), (s, w, g, m, n)) \
	X(void, expand8, (float *x, const uint8_t *codes, const float *values, float absmax, long n), (x, codes, values, absmax, n)) \
	X(float, quantize8, (uint8_t *codes, const float *x, const uint8_t *steps, long n), (codes, x, steps, n))

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
