// The family neon: float32 by NEON's fused multiply-adds.
#ifdef __aarch64__
#define TARGET
#define UNIT 1
enum { height = 6, width = 16 }; // 24 sums, 4 vectors of the right panel and 2 of the left one fill 30 of 32 registers
#include "neon.h"

static int available(void) { return 1; }

static void multiply(float *sums, long stride, const void *left, const void *right, long rows, long cols, long depth, int accumulate) {
	for (long j = 0; j < cols; j += width)
		for (long i = 0; i < rows; i += height) {
			const float *a = (const float *)left + i * depth, *b = (const float *)right + j * depth;
			float32x4_t sum[height][width / lanes];
			for (int r = 0; r < height; r++)
				for (int c = 0; c < width / lanes; c++) sum[r][c] = vdupq_n_f32(0);
			for (long k = 0; k < depth; k++, a += height, b += width) {
				float32x4_t first = vld1q_f32(a);
				float32x2_t last = vld1_f32(a + lanes);
				for (int c = 0; c < width / lanes; c++) {
					float32x4_t x = vld1q_f32(b + c * lanes);
					sum[0][c] = vfmaq_laneq_f32(sum[0][c], x, first, 0);
					sum[1][c] = vfmaq_laneq_f32(sum[1][c], x, first, 1);
					sum[2][c] = vfmaq_laneq_f32(sum[2][c], x, first, 2);
					sum[3][c] = vfmaq_laneq_f32(sum[3][c], x, first, 3);
					sum[4][c] = vfmaq_lane_f32(sum[4][c], x, last, 0);
					sum[5][c] = vfmaq_lane_f32(sum[5][c], x, last, 1);
				}
			}
			for (int r = 0; r < height && i + r < rows; r++) {
				float *to = sums + (i + r) * stride + j;
				if (cols - j >= width) {
					for (int c = 0; c < width / lanes; c++, to += lanes) vst1q_f32(to, accumulate ? vaddq_f32(vld1q_f32(to), sum[r][c]) : sum[r][c]);
					continue;
				}
				float part[width];
				for (int c = 0; c < width / lanes; c++) vst1q_f32(part + c * lanes, sum[r][c]);
				for (long c = 0; c < cols - j; c++) to[c] = accumulate ? to[c] + part[c] : part[c];
			}
		}
}

// Multiplies registers of zeros: each round adds to all sums of a panel.
static double spin(long rounds) {
	float32x4_t sum[24], x = vdupq_n_f32(0);
	for (int i = 0; i < 24; i++) sum[i] = x;
	for (long n = 0; n < rounds; n++)
		for (int i = 0; i < 24; i++) {
			sum[i] = vfmaq_f32(sum[i], x, x);
			__asm__ volatile("" : "+w"(sum[i]));
		}
	return 2.0 * lanes * 24 * (double)rounds;
}

const struct kernels_family kernels_neon = {
	.name = "neon",
	.rows = height,
	.cols = width,
	.unit = UNIT,
	.bytes = 4,
	.slice = 256,
	.left_piece = 252,
	.right_piece = 128,
	.detail = "float32, NEON",
	.available = available,
	.pack_left = pack_left,
	.pack_right = pack_right,
	.multiply = multiply,
	.spin = spin,
};
#endif
