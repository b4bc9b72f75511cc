// The choice of the product: a template of files that define dot_codes,
// dot_small_blocks, dot_bytes, dot_f32, dot_bf16 and dot_f16.

static void dot(float *sums, long stride, const void *x, long padded, int rows, const struct kernels_operand *w, long depth, long from, long to) {
	switch (w->type) {
	case kernels_f32: dot_f32(sums, stride, x, padded, rows, w, depth, from, to); return;
	case kernels_bf16: dot_bf16(sums, stride, x, padded, rows, w, depth, from, to); return;
	case kernels_f16: dot_f16(sums, stride, x, padded, rows, w, depth, from, to); return;
	}
	if (w->type == kernels_int8 && decode_bytes_in_place(w, depth))
		dot_bytes(sums, stride, x, padded, rows, w, depth, from, to);
	else if (!decode_in_place(w, depth))
		decode_portable.dot(sums, stride, x, padded, rows, w, depth, from, to);
	else
		(w->block == 32 ? dot_small_blocks : dot_codes)(sums, stride, x, padded, rows, w, depth, from, to);
}
