// The order of X and the choice of the product: a template of files that define dot_codes,
// dot_small_blocks, dot_f32, dot_bf16 and dot_f16.

static int order(const struct kernels_operand *w, long depth) {
	if (w->type == kernels_coded) return decode_in_place(w, depth) ? decode_nibbles : decode_plain;
	return w->type == kernels_bf16 ? decode_halves : decode_plain;
}

static void dot(float *sums, long stride, const void *x, long padded, int rows, const struct kernels_operand *w, long depth, long from, long to) {
	switch (w->type) {
	case kernels_f32: dot_f32(sums, stride, x, padded, rows, w, depth, from, to); return;
	case kernels_bf16: dot_bf16(sums, stride, x, padded, rows, w, depth, from, to); return;
	case kernels_f16: dot_f16(sums, stride, x, padded, rows, w, depth, from, to); return;
	}
	if (!decode_in_place(w, depth))
		decode_portable.dot(sums, stride, x, padded, rows, w, depth, from, to);
	else
		(w->block == 32 ? dot_small_blocks : dot_codes)(sums, stride, x, padded, rows, w, depth, from, to);
}
