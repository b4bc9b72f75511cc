// Products with 4-bit codes in vectors of 512 bits, sixteen lines at a time: their scales are
// computed together, and their sums are reduced together. A template of files that define
//
//	multiply_line(sums, code, scales, x, padded, depth, values, rows, small)
//
// for X of elements, which adds to the sums of the rows, group apart, a line's product.

enum { group_slab = 1 << 14 }; // elements of a line whose scales are computed ahead

// Writes half as many vectors, each with sums of two neighbours, whose even and odd parts
// choose selects.
#define FOLD(s, n, choose) \
	for (int i = 0; i < n; i += 2) s[i / 2] = _mm512_add_ps(choose(s[i], s[i + 1], 0x88), choose(s[i], s[i + 1], 0xdd));

// Returns the sums of sixteen vectors, whose contents it overwrites.
INLINE __m512 totals(__m512 s[group]) {
	FOLD(s, 16, _mm512_shuffle_f32x4)
	FOLD(s, 8, _mm512_shuffle_f32x4)
	FOLD(s, 4, _mm512_shuffle_ps)
	FOLD(s, 2, _mm512_shuffle_ps)
	// Quarter q, lane l holds the sum of vector 4·l + q.
	return _mm512_permutexvar_ps(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), s[0]);
}

// Multiplies up to sixteen lines from line on. In small blocks the scale changes within 64.
INLINE void multiply_group(float *sums, long stride, const element *x, long padded, const struct kernels_operand *w, const struct decode_map *map, long depth, long line, long lines, const int rows, const int small) {
	__m512 sum[decode_rows * group];
	float scales[group * group_slab / 32];
	for (int i = 0; i < rows * group; i++) sum[i] = _mm512_setzero_ps();
	for (long from = 0; from < depth; from += group_slab) {
		long to = depth - from < group_slab ? depth : from + group_slab;
		const long apart = (to - from) / (small ? 32 : decode_unit);
		const uint8_t *code = (const uint8_t *)w->data + (w->first + line * w->stride + from) / 2;
		decode_slab_scales(scales, map, w, depth, line, lines, from, to, small);
		for (long l = 0; l < lines; l++) multiply_line(sum + l, code + l * w->stride / 2, scales + l * apart, x + from, padded, to - from, w->values, rows, small);
	}
	for (int r = 0; r < rows; r++) _mm512_mask_storeu_ps(sums + r * stride, (__mmask16)((1u << lines) - 1), totals(sum + r * group));
}

#define DECODE_GROUPS(rows, small) \
	case rows: \
		for (; from < to; from += group, sums += group) \
			multiply_group(sums, stride, x, padded, w, map, depth, from, to - from < group ? to - from : group, rows, small); \
		break;

// Defines the products in blocks of 32, or in larger ones.
#define DECODE_CODES(name, small) \
	TARGET static void name(float *sums, long stride, const void *x, long padded, int rows, const struct kernels_operand *w, long depth, long from, long to) { \
		struct decode_map split; \
		const struct decode_map *map = decode_split(&split, w); \
		switch (rows) { \
			DECODE_GROUPS(1, small) \
			DECODE_GROUPS(2, small) \
			DECODE_GROUPS(3, small) \
			DECODE_GROUPS(4, small) \
			DECODE_GROUPS(5, small) \
			DECODE_GROUPS(6, small) \
			DECODE_GROUPS(7, small) \
			DECODE_GROUPS(8, small) \
		} \
	}

DECODE_CODES(dot_codes, 0)
DECODE_CODES(dot_small_blocks, 1)
