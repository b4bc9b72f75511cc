// What goes into and comes out of matrix products: the sums' last steps, products with a
// few columns, and masked operands.

// y = sums·gain + bias + residual, rounded once; gain, bias and residual may be absent.
INLINE void stored(int type, void *y, const float *sums, const float *gain, const float *bias, const void *residual, long n) {
	for (long i = 0; i < n; i += LANES) {
		floats v = load(sums + i, n - i, 0);
		if (gain) v *= load(gain + i, n - i, 0);
		if (bias) v += load(bias + i, n - i, 0);
		if (residual) v += get(type, residual, i, n);
		put(type, y, i, n, v);
	}
}

static void store_sums(int type, struct rows y, const float *sums, long stride, const float *gain, const float *bias, struct rows residual, long rows, long cols) {
	for (long t = 0; t < rows; t++)
		FOR_ACTIVATION(type, stored(T, row(T, y, t), sums + t * stride, gain, bias, row(T, residual, t), cols));
}

// The lines of x and the columns of u whose sums are in registers together.
enum { thin_groups = 2, thin_ranks = 8 };

// sums[r][0..) += sum over t of u[t][r]·x[t][0..), for thin_groups groups of columns and
// ranks columns of u. A row of x has n elements.
INLINE void thin_tile(float *sums, long stride, int type, struct rows x, long at, const float *u, long rank, int ranks, long tokens, long n) {
	floats tile[thin_ranks][thin_groups] = {{{0}}};
	for (long t = 0; t < tokens; t++) {
		floats v[thin_groups];
		for (int g = 0; g < thin_groups; g++) v[g] = at + g * LANES < n ? get(type, row(type, x, t), at + g * LANES, n) : all(0);
		for (int r = 0; r < ranks; r++)
			for (int g = 0; g < thin_groups; g++) tile[r][g] += all(u[t * rank + r]) * v[g];
	}
	for (int r = 0; r < ranks; r++)
		for (int g = 0; g < thin_groups && at + g * LANES < n; g++) {
			float *sum = sums + r * stride + at + g * LANES;
			long left = n - at - g * LANES;
			store(sum, load(sum, left, 0) + tile[r][g], left);
		}
}

static void thin(float *sums, long stride, int type, struct rows x, const float *u, long rank, long tokens, long cols) {
	for (long at = 0; at < cols; at += thin_groups * LANES)
		for (long r = 0; r < rank;) {
			if (rank - r >= thin_ranks) {
				FOR_ACTIVATION(type, thin_tile(sums + r * stride, stride, T, x, at, u + r, rank, thin_ranks, tokens, cols));
				r += thin_ranks;
			} else {
				FOR_ACTIVATION(type, thin_tile(sums + r * stride, stride, T, x, at, u + r, rank, 1, tokens, cols));
				r++;
			}
		}
}

// The columns whose factors are drawn together.
enum { factors_at_once = 256 };

// dst = x·factors of dropout, or += with add, or x - x·factors with complement. The rows
// begin at row and block, a block being 8 columns.
static void drop(float *dst, long stride, int type, struct rows x, const struct dropout *d, uint32_t block, uint32_t first, long rows, long cols, int add, int complement) {
	for (long t = 0; t < rows; t++)
		for (long from = 0; from < cols; from += factors_at_once) {
			long n = cols - from < factors_at_once ? cols - from : factors_at_once;
			float factors[factors_at_once], *out = dst + t * stride + from;
			dropout_factors(factors, n, d, block + (uint32_t)(from / 8), first + (uint32_t)t);
			for (long i = 0; i < n; i += LANES) {
				floats v = type == F32 ? get(F32, row(F32, x, t), from + i, from + n) : get(BF16, row(BF16, x, t), from + i, from + n);
				floats dropped = v * load(factors + i, n - i, 0);
				if (complement) dropped = v - dropped;
				if (add) dropped += load(out + i, n - i, 0);
				store(out + i, dropped, n - i);
			}
		}
}
