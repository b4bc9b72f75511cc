// Packs any operand for a family: one of 8-bit codes part by part, in float32.
#include "kernels.h"

enum {
	part = 64,      // of the depth, a multiple of every family's unit
	widest = 1 << 6 // lines of a panel, at most
};

typedef void pack(void *dst, const struct kernels_operand *o, long lines, long depth, float scale);

// Decodes a part of a panel at a time. A panel is in order of depth, so what the family makes
// of a part is where it lies in the panel.
static void pack_int8(pack *family, int width, int unit, int bytes, void *dst, const struct kernels_operand *o, long lines, long depth, float scale) {
	float x[widest * part];
	long padded = (depth + unit - 1) / unit * unit;
	struct kernels_operand dense = {.type = kernels_f32, .transposed = o->transposed, .data = x};
	for (long line = 0; line < lines; line += width) {
		long n = lines - line < width ? lines - line : width;
		for (long k = 0; k < depth; k += part) {
			long d = depth - k < part ? depth - k : part;
			kernels_expand_rows(x, o, line, n, k, d);
			dense.stride = o->transposed ? n : d;
			family((char *)dst + (line * padded + k * width) * bytes, &dense, n, d, scale);
		}
	}
}

void kernels_pack_left(const struct kernels_family *f, void *dst, const struct kernels_operand *o, long lines, long depth, float scale) {
	if (o->type == kernels_int8)
		pack_int8(f->pack_left, f->rows, f->unit, f->bytes, dst, o, lines, depth, scale);
	else
		f->pack_left(dst, o, lines, depth, scale);
}

void kernels_pack_right(const struct kernels_family *f, void *dst, const struct kernels_operand *o, long lines, long depth, float scale) {
	if (o->type == kernels_int8)
		pack_int8(f->pack_right, f->cols, f->unit, f->bytes, dst, o, lines, depth, scale);
	else
		f->pack_right(dst, o, lines, depth, scale);
}
