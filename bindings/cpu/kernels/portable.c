// Products for any processor: float32 in the compiler's vector types.
#include "kernels.h"

enum { height = 6, width = 8 };

typedef float f4 __attribute__((vector_size(16), aligned(4)));

static int available(void) { return 1; }

static void pack_left(void *dst, const struct kernels_operand *o, long lines, long depth, float scale) {
	kernels_pack(dst, o, lines, depth, scale, height, 1, 0);
}

static void pack_right(void *dst, const struct kernels_operand *o, long lines, long depth, float scale) {
	kernels_pack(dst, o, lines, depth, scale, width, 1, 0);
}

static void multiply(float *sums, long stride, const void *left, const void *right, long rows, long cols, long depth, int accumulate) {
	for (long j = 0; j < cols; j += width)
		for (long i = 0; i < rows; i += height) {
			const float *a = (const float *)left + i * depth, *b = (const float *)right + j * depth;
			f4 tile[height][width / 4] = {{{0}}};
			for (long k = 0; k < depth; k++, a += height, b += width)
				_Pragma("GCC unroll 6") for (int r = 0; r < height; r++)
					for (int c = 0; c < width / 4; c++) tile[r][c] += a[r] * ((const f4 *)b)[c];
			for (int r = 0; r < height && i + r < rows; r++)
				for (int c = 0; c < width && j + c < cols; c++) {
					float *sum = sums + (i + r) * stride + j + c, x = tile[r][c / 4][c % 4];
					*sum = accumulate ? *sum + x : x;
				}
		}
}

const struct kernels_family kernels_portable = {
	.name = "portable",
	.rows = height,
	.cols = width,
	.unit = 1,
	.bytes = 4,
	.slice = 256,
	.left_piece = 256,
	.right_piece = 128,
	.detail = "float32, for any processor",
	.available = available,
	.pack_left = pack_left,
	.pack_right = pack_right,
	.multiply = multiply,
};
