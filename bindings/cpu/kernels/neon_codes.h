// Looking 4-bit codes up in NEON, for files that define INLINE.
#include <arm_neon.h>

typedef float32x4_t row_of_codes[4]; // 16 elements

// The 16 values of a code: a table for each byte of the floats.
struct codebook {
	uint8x16_t bytes[4];
};

INLINE struct codebook codebook(const float *values) {
	uint8x16x4_t split = vld4q_u8((const uint8_t *)values);
	return (struct codebook){{split.val[0], split.val[1], split.val[2], split.val[3]}};
}

// Returns the values of 16 codes in 8 bytes, the first of each in the high nibble.
INLINE void look_up(row_of_codes to, const uint8_t *codes, const struct codebook *b) {
	uint8x8_t pairs = vld1_u8(codes), high = vshr_n_u8(pairs, 4), low = vand_u8(pairs, vdup_n_u8(15));
	uint8x16_t index = vcombine_u8(vzip1_u8(high, low), vzip2_u8(high, low));
	uint8x16x4_t split = {{vqtbl1q_u8(b->bytes[0], index), vqtbl1q_u8(b->bytes[1], index), vqtbl1q_u8(b->bytes[2], index), vqtbl1q_u8(b->bytes[3], index)}};
	uint16x8_t first[2] = {vreinterpretq_u16_u8(vzip1q_u8(split.val[0], split.val[1])), vreinterpretq_u16_u8(vzip2q_u8(split.val[0], split.val[1]))};
	uint16x8_t second[2] = {vreinterpretq_u16_u8(vzip1q_u8(split.val[2], split.val[3])), vreinterpretq_u16_u8(vzip2q_u8(split.val[2], split.val[3]))};
	for (int h = 0; h < 2; h++) {
		to[2 * h] = vreinterpretq_f32_u16(vzip1q_u16(first[h], second[h]));
		to[2 * h + 1] = vreinterpretq_f32_u16(vzip2q_u16(first[h], second[h]));
	}
}
