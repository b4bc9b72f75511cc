// Products of few rows in NEON: a table look-up for each byte of a code's value.
#include "decode_rows.h"

#ifdef __aarch64__

#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define TARGET

#include "neon_codes.h"

enum { lanes = 4, step = 16 }; // elements of a vector; those that are read at a time

static int available(void) { return 1; }

static int order(const struct kernels_operand *w, long depth) {
	(void)w, (void)depth;
	return decode_plain;
}

// Adds a vector's products with the 16 elements of X from in on.
INLINE float32x4_t add_products(float32x4_t sum, const row_of_codes w, const float *in) {
	for (int i = 0; i < step / lanes; i++) sum = vfmaq_f32(sum, w[i], vld1q_f32(in + i * lanes));
	return sum;
}

// Multiplies lines by rows of X, from codes. In small blocks the scale changes within 64.
INLINE void codes(float *sums, long stride, const void *x, long padded, const struct kernels_operand *w, long depth, long line, const int rows, const int lines, const int small) {
	const struct codebook book = codebook(w->values);
	const int block = small ? 32 : decode_unit;
	float32x4_t sum[decode_rows];
	for (int i = 0; i < rows * lines; i++) sum[i] = vdupq_n_f32(0);
	float scales[4 * decode_slab / 32];
	for (long from = 0; from < depth; from += decode_slab) {
		long to = depth - from < decode_slab ? depth : from + decode_slab, first = w->first + line * w->stride + from;
		const long apart = (to - from) / block;
		decode_slab_scales(scales, NULL, w, depth, line, lines, from, to, small);
		for (long k = from; k < to; k += block)
			for (int l = 0; l < lines; l++) {
				const uint8_t *code = (const uint8_t *)w->data + (first + l * w->stride + k - from) / 2;
				float32x4_t part[decode_rows];
				__builtin_prefetch(code + ahead);
				for (int r = 0; r < rows; r++) part[r] = vdupq_n_f32(0);
				for (int i = 0; i < block; i += step) {
					row_of_codes v;
					look_up(v, code + i / 2, &book);
					for (int r = 0; r < rows; r++) part[r] = add_products(part[r], v, (const float *)x + r * padded + k + i);
				}
				const float scale = scales[l * apart + (k - from) / block];
				for (int r = 0; r < rows; r++) sum[r * lines + l] = vfmaq_n_f32(sum[r * lines + l], part[r], scale);
			}
	}
	for (int r = 0; r < rows; r++)
		for (int l = 0; l < lines; l++) sums[r * stride + l] = vaddvq_f32(sum[r * lines + l]);
}

// Multiplies lines by rows of X, from 8-bit codes. unused is there for DECODE_DOT.
INLINE void bytes(float *sums, long stride, const void *x, long padded, const struct kernels_operand *w, long depth, long line, const int rows, const int lines, const int unused) {
	(void)unused;
	float32x4_t sum[decode_rows];
	for (int i = 0; i < rows * lines; i++) sum[i] = vdupq_n_f32(0);
	for (long k = 0; k < depth; k += 32)
		for (int l = 0; l < lines; l++) {
			const long first = w->first + (line + l) * w->stride + k;
			const int8_t *at = (const int8_t *)w->data + first;
			const float scale = vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(w->halves[first / w->block]))), 0);
			float32x4_t part[decode_rows];
			__builtin_prefetch(at + ahead);
			for (int r = 0; r < rows; r++) part[r] = vdupq_n_f32(0);
			for (int i = 0; i < 32; i += step) {
				const int8x16_t v = vld1q_s8(at + i);
				const int16x8_t low = vmovl_s8(vget_low_s8(v)), high = vmovl_high_s8(v);
				row_of_codes in = {vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_high_s16(low)), vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_high_s16(high))};
				for (int r = 0; r < rows; r++) part[r] = add_products(part[r], in, (const float *)x + r * padded + k + i);
			}
			for (int r = 0; r < rows; r++) sum[r * lines + l] = vfmaq_n_f32(sum[r * lines + l], part[r], scale);
		}
	for (int r = 0; r < rows; r++)
		for (int l = 0; l < lines; l++) sums[r * stride + l] = vaddvq_f32(sum[r * lines + l]);
}

// Reads 16 elements of a line, of which left are its own; the others are 0.
INLINE void widen(row_of_codes to, const char *at, long left, const int type) {
	const long size = type == kernels_f32 ? 4 : 2;
	char rest[step * sizeof(float)] = {0};
	if (left < step) {
		memcpy(rest, at, (size_t)(left * size));
		at = rest;
	}
	for (int i = 0; i < step / lanes; i++) {
		if (type == kernels_f32) {
			to[i] = vld1q_f32((const float *)at + i * lanes);
			continue;
		}
		const uint16x4_t v = vld1_u16((const uint16_t *)at + i * lanes);
		to[i] = type == kernels_bf16 ? vreinterpretq_f32_u32(vshll_n_u16(v, 16)) : vcvt_f32_f16(vreinterpret_f16_u16(v));
	}
}

// Multiplies lines by rows of X, from elements of a type.
INLINE void dense(float *sums, long stride, const void *x, long padded, const struct kernels_operand *w, long depth, long line, const int rows, const int lines, const int type) {
	const long size = type == kernels_f32 ? 4 : 2;
	float32x4_t sum[decode_rows][2];
	for (int i = 0; i < rows * lines; i++) sum[i][0] = sum[i][1] = vdupq_n_f32(0);
	for (long k = 0; k < depth; k += 2 * step)
		for (int l = 0; l < lines; l++) {
			const char *at = (const char *)w->data + ((line + l) * w->stride + k) * size;
			row_of_codes in[2];
			__builtin_prefetch(at + ahead);
			widen(in[0], at, depth - k, type);
			widen(in[1], at + step * size, depth - k > step ? depth - k - step : 0, type);
			for (int r = 0; r < rows; r++)
				for (int h = 0; h < 2; h++) sum[r * lines + l][h] = add_products(sum[r * lines + l][h], in[h], (const float *)x + r * padded + k + h * step);
		}
	for (int r = 0; r < rows; r++)
		for (int l = 0; l < lines; l++) sums[r * stride + l] = vaddvq_f32(vaddq_f32(sum[r * lines + l][0], sum[r * lines + l][1]));
}

DECODE_DOT(dot_codes, codes, 0, 2, 1)
DECODE_DOT(dot_small_blocks, codes, 1, 2, 1)
DECODE_DOT(dot_bytes, bytes, 0, 1, 1)
DECODE_DOT(dot_f32, dense, kernels_f32, 1, 1)
DECODE_DOT(dot_bf16, dense, kernels_bf16, 1, 1)
DECODE_DOT(dot_f16, dense, kernels_f16, 1, 1)

#include "decode_choice.h"

const struct decode_kernels decode_neon = {.name = "neon", .available = available, .order = order, .dot = dot};

#endif
