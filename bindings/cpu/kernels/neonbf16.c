// The family neonbf16: bfloat16 by BFMMLA, which multiplies 2 x 4 with 4 x 2 elements.
#ifdef __aarch64__
#define TARGET __attribute__((target("arch=armv8.2-a+bf16")))
#define UNIT 4
enum { height = 6, width = 16 }; // 24 sums, 3 vectors of the left panel and 1 of the right one fill 28 of 32 registers
#include "neon.h"

#ifdef __linux__
#include <sys/auxv.h>

static int available(void) {
	const unsigned long bf16 = 1 << 14; // HWCAP2_BF16
	return (getauxval(AT_HWCAP2) & bf16) != 0;
}
#else
static int available(void) { return 0; }
#endif

enum { pair_rows = height / 2, pair_cols = width / 2, pair = 2 * UNIT }; // a vector has pair elements of 2 lines

TARGET static void multiply(float *sums, long stride, const void *left, const void *right, long rows, long cols, long depth, int accumulate) {
	long steps = (depth + UNIT - 1) / UNIT;
	for (long j = 0; j < cols; j += width)
		for (long i = 0; i < rows; i += height) {
			const bfloat16_t *a = (const bfloat16_t *)left + i * steps * UNIT, *b = (const bfloat16_t *)right + j * steps * UNIT;
			float32x4_t sum[pair_rows][pair_cols];
			for (int r = 0; r < pair_rows; r++)
				for (int c = 0; c < pair_cols; c++) sum[r][c] = vdupq_n_f32(0);
			for (long s = 0; s < steps; s++, a += height * UNIT, b += width * UNIT) {
				bfloat16x8_t x[pair_rows];
				for (int r = 0; r < pair_rows; r++) x[r] = vld1q_bf16(a + r * pair);
				for (int c = 0; c < pair_cols; c++) {
					bfloat16x8_t y = vld1q_bf16(b + c * pair);
					for (int r = 0; r < pair_rows; r++) sum[r][c] = vbfmmlaq_f32(sum[r][c], x[r], y);
				}
			}
			for (int r = 0; r < height && i + r < rows; r++) {
				float part[width];
				float *to = sums + (i + r) * stride + j;
				for (int c = 0; c < pair_cols; c++) vst1_f32(part + 2 * c, r % 2 ? vget_high_f32(sum[r / 2][c]) : vget_low_f32(sum[r / 2][c]));
				for (int c = 0; c < width && j + c < cols; c++) to[c] = accumulate ? to[c] + part[c] : part[c];
			}
		}
}

// Multiplies registers of zeros: each round adds to all sums of a panel.
TARGET static double spin(long rounds) {
	enum { count = pair_rows * pair_cols };
	float32x4_t sum[count];
	bfloat16x8_t x = vreinterpretq_bf16_u16(vdupq_n_u16(0));
	for (int i = 0; i < count; i++) sum[i] = vdupq_n_f32(0);
	for (long n = 0; n < rounds; n++)
		for (int i = 0; i < count; i++) {
			sum[i] = vbfmmlaq_f32(sum[i], x, x);
			__asm__ volatile("" : "+w"(sum[i]));
		}
	return 2.0 * 2 * 2 * UNIT * count * (double)rounds;
}

const struct kernels_family kernels_neonbf16 = {
	.name = "neonbf16",
	.bf16 = 1,
	.rows = height,
	.cols = width,
	.unit = UNIT,
	.bytes = 2,
	.slice = 512,
	.left_piece = 252,
	.right_piece = 128,
	.detail = "bfloat16, NEON",
	.rounding = kernels_bf16_rounding,
	.available = available,
	.pack_left = pack_left,
	.pack_right = pack_right,
	.multiply = multiply,
	.spin = spin,
};
#endif
