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

// dropout(x) by columns, in one of drop's modes.
INLINE void dropped(int mode, float *dst, int type, const void *x, const struct dropout *d, uint32_t block, uint32_t row, long cols) {
	for (long col = 0; col < cols; col += masked) {
		float factors[masked];
		long n = cols - col < masked ? cols : col + masked;
		draw(factors, d, block + (uint32_t)(col / 8), row, d->scale);
		for (long i = col; i < n; i += LANES) {
			floats v = get(type, x, i, n), kept = v * load(factors + i - col, masked, 0);
			if (mode == drop_add) kept += load(dst + i, n - i, 0);
			store(dst + i, mode == drop_lost ? v - kept : kept, n - i);
		}
	}
}

// The rows and columns of dst and x begin at first and 8·block of the mask.
static void drop(float *dst, long stride, int type, struct rows x, const struct dropout *d, uint32_t block, uint32_t first, long rows, long cols, int mode) {
	for (long t = 0; t < rows; t++)
		FOR_ACTIVATION(type, dropped(mode, dst + t * stride, T, row(T, x, t), d, block, first + (uint32_t)t, cols));
}
