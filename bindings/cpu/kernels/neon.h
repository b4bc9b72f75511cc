// The families of NEON: a template of one file, which defines
//
//	TARGET  the attribute of every function
//	UNIT    1: panels of float32, [depth][lines]; 4: panels of bfloat16, [depth/4][lines][4]
//	height, width   lines of a left and of a right panel: even, the width a multiple of 4
#include "codes.h"

#include <arm_neon.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline)) TARGET

#include "neon_codes.h"

enum { lanes = 4, chunk = 16 }; // elements of a vector; the depth that is packed at a time

typedef row_of_codes row; // a stored row of up to 16 elements

// Returns 4 elements of a dense operand from element at on; 2 and zeros if half.
INLINE float32x4_t load(int type, const void *data, long at, int half) {
	const size_t size = type == kernels_f32 ? 4 : 2;
	uint8_t bytes[16] = {0};
	memcpy(bytes, (const char *)data + (long)size * at, size * (half ? 2 : 4));
	if (type == kernels_f32) return vreinterpretq_f32_u8(vld1q_u8(bytes));
	uint16x4_t words = vreinterpret_u16_u8(vld1_u8(bytes));
	if (type == kernels_f16) return vcvt_f32_f16(vreinterpret_f16_u16(words));
	return vreinterpretq_f32_u32(vshll_n_u16(words, 16));
}

INLINE void transpose(float32x4_t v[lanes]) {
	float64x2_t a = vreinterpretq_f64_f32(vtrn1q_f32(v[0], v[1])), b = vreinterpretq_f64_f32(vtrn2q_f32(v[0], v[1]));
	float64x2_t c = vreinterpretq_f64_f32(vtrn1q_f32(v[2], v[3])), d = vreinterpretq_f64_f32(vtrn2q_f32(v[2], v[3]));
	v[0] = vreinterpretq_f32_f64(vtrn1q_f64(a, c));
	v[1] = vreinterpretq_f32_f64(vtrn1q_f64(b, d));
	v[2] = vreinterpretq_f32_f64(vtrn2q_f64(a, c));
	v[3] = vreinterpretq_f32_f64(vtrn2q_f64(b, d));
}

// Writes 4 lines by 4 of depth, or 2 lines if half, to a panel of panel_width lines from dst
// on. A vector is a line, or a step of the depth with across.
INLINE void put(char *dst, float32x4_t v[lanes], int across, int half, int panel_width) {
#if UNIT == 1
	if (!across) transpose(v);
	for (int k = 0; k < lanes; k++) {
		char *d = dst + k * panel_width * (int)sizeof(float);
		if (half)
			vst1_u8((uint8_t *)d, vreinterpret_u8_f32(vget_low_f32(v[k])));
		else
			vst1q_u8((uint8_t *)d, vreinterpretq_u8_f32(v[k]));
	}
#else
	(void)panel_width;
	if (across) transpose(v);
	for (int i = 0; i < (half ? lanes / 2 : lanes); i++) vst1_u8((uint8_t *)dst + i * 8, vreinterpret_u8_bf16(vcvt_bf16_f32(v[i])));
#endif
}

// Returns where a panel has an element.
INLINE char *element_at(void *panel, long line, long k, int panel_width) {
#if UNIT == 1
	return (char *)panel + (k * panel_width + line) * 4;
#else
	return (char *)panel + (k / UNIT * panel_width + line) * UNIT * 2;
#endif
}

// Packs a chunk of depth of a panel from rows of lines: rows[i][c] is from depth 4c of line i.
INLINE void put_lines(void *panel, row *rows, long k, float scale, int panel_width) {
	for (int i = 0; i < panel_width; i += lanes)
		for (int c = 0; c < chunk / lanes; c++) {
			float32x4_t v[lanes];
			for (int l = 0; l < lanes; l++) v[l] = vmulq_n_f32(i + l < panel_width ? rows[i + l][c] : vdupq_n_f32(0), scale);
			put(element_at(panel, i, k + c * lanes, panel_width), v, 0, i + lanes > panel_width, panel_width);
		}
}

// Packs a chunk of depth of a panel from rows of depth: rows[u][c] is from line 4c on.
INLINE void put_columns(void *panel, row *rows, long k, float scale, int panel_width) {
	for (int u = 0; u < chunk; u += lanes)
		for (int i = 0; i < panel_width; i += lanes) {
			float32x4_t v[lanes];
			for (int l = 0; l < lanes; l++) v[l] = vmulq_n_f32(rows[u + l][i / lanes], scale);
			put(element_at(panel, i, k + u, panel_width), v, 1, i + lanes > panel_width, panel_width);
		}
}

// Packs what the rest does not: chunks with fewer lines or less depth, and irregular codes.
static __attribute__((noinline)) TARGET void pack_any(void *panel, const struct kernels_operand *o, long line, long lines, long k, long depth, float scale, int panel_width) {
	float part[width][chunk] = {{0}};
	row rows[width];
	long n = depth - k < chunk ? depth - k : chunk, end = (depth + UNIT - 1) / UNIT * UNIT;
	for (int i = 0; i < panel_width && line + i < lines; i++) kernels_expand(part[i], o, line + i, k, n);
	if (end - k >= chunk) {
		for (int i = 0; i < panel_width; i++)
			for (int c = 0; c < chunk / lanes; c++) rows[i][c] = vld1q_f32(part[i] + c * lanes);
		put_lines(panel, rows, k, scale, panel_width);
		return;
	}
	for (long u = 0; u < end - k; u++) // the panel ends within the chunk
		for (int i = 0; i < panel_width; i++) {
			float x = part[i][u] * scale;
			char *d = element_at(panel, i, k + u, panel_width);
#if UNIT == 1
			memcpy(d, &x, sizeof x);
#else
			uint16_t h = vget_lane_u16(vreinterpret_u16_bf16(vcvt_bf16_f32(vdupq_n_f32(x))), 0);
			memcpy(d + (k + u) % UNIT * 2, &h, sizeof h);
#endif
		}
}

INLINE void pack_dense(void *panel, const struct kernels_operand *o, int type, long line, long k, float scale, int panel_width) {
	row rows[chunk];
	if (o->transposed) {
		for (int u = 0; u < chunk; u++)
			for (int i = 0; i < panel_width; i += lanes) rows[u][i / lanes] = load(type, o->data, (k + u) * o->stride + line + i, i + lanes > panel_width);
		put_columns(panel, rows, k, scale, panel_width);
		return;
	}
	for (int i = 0; i < panel_width; i++)
		for (int c = 0; c < chunk / lanes; c++) rows[i][c] = load(type, o->data, (line + i) * o->stride + k + c * lanes, 0);
	put_lines(panel, rows, k, scale, panel_width);
}

INLINE void pack_coded(void *panel, const struct kernels_scales *s, const struct codebook *b, long line, long k, float scale, int panel_width) {
	const struct kernels_operand *o = s->o;
	row rows[chunk];
	long at = o->first + (o->transposed ? k * o->stride + line : line * o->stride + k);
	for (int i = 0; i < chunk; i++, at += o->stride) {
		float absmax = kernels_scale(s, at);
		look_up(rows[i], (const uint8_t *)o->data + at / 2, b);
		for (int c = 0; c < chunk / lanes; c++) rows[i][c] = vmulq_n_f32(rows[i][c], absmax);
	}
	if (o->transposed)
		put_columns(panel, rows, k, scale, panel_width);
	else
		put_lines(panel, rows, k, scale, panel_width);
}

INLINE void pack(void *dst, const struct kernels_operand *o, long lines, long depth, float scale, int panel_width) {
	const long bytes = (depth + UNIT - 1) / UNIT * UNIT * panel_width * (UNIT == 1 ? 4 : 2);
	int coded = o->type == kernels_coded && panel_width == chunk && kernels_whole_blocks(o);
	struct kernels_scales s = {0};
	struct codebook b = {0};
	if (coded) {
		s = kernels_scales(o);
		b = codebook(o->values);
	}
	for (long line = 0; line < lines; line += panel_width, dst = (char *)dst + bytes)
		for (long k = 0; k < depth; k += chunk) {
			if (lines - line < panel_width || depth - k < chunk) {
				pack_any(dst, o, line, lines, k, depth, scale, panel_width);
				continue;
			}
			switch (o->type) {
			case kernels_f32: pack_dense(dst, o, kernels_f32, line, k, scale, panel_width); break;
			case kernels_bf16: pack_dense(dst, o, kernels_bf16, line, k, scale, panel_width); break;
			case kernels_f16: pack_dense(dst, o, kernels_f16, line, k, scale, panel_width); break;
			default:
				if (coded)
					pack_coded(dst, &s, &b, line, k, scale, panel_width);
				else
					pack_any(dst, o, line, lines, k, depth, scale, panel_width);
			}
		}
}

TARGET static void pack_left(void *dst, const struct kernels_operand *o, long lines, long depth, float scale) { pack(dst, o, lines, depth, scale, height); }

TARGET static void pack_right(void *dst, const struct kernels_operand *o, long lines, long depth, float scale) { pack(dst, o, lines, depth, scale, width); }
