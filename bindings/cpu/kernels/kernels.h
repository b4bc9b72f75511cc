// The CPU's matrix products, one family of functions for each kind of processor.
//
// A product is sums[i][j] (+)= sum over k of left[i][k]·right[j][k]: both operands are
// lines of the same depth. They are packed into panels first, in the type and order that
// the family multiplies; weights in codes are decoded while they are packed.
#ifndef KERNELS_H
#define KERNELS_H

#include <stdint.h>

enum kernels_type { kernels_f32, kernels_bf16, kernels_f16, kernels_coded, kernels_int8 };

// A matrix in memory, read as [lines, depth]. Element (l, k) is element l·stride + k of the
// data, or k·stride + l if it is transposed.
struct kernels_operand {
	int type;
	int transposed;
	long stride;
	const void *data; // the first element; of a matrix in codes the whole weight's codes

	// A coded matrix: element e of the flattened weight is values[code e]·scale of block
	// e/block, two codes a byte, the first in the high nibble. The operand begins at
	// element first.
	long first;
	long block;
	float values[16];
	const float *absmax; // the scales; NULL: they are codes themselves,
	const uint8_t *absmax_codes; // map[absmax_codes[b]]·nested[b/nested_block] + offset
	const float *nested;
	long nested_block;
	const float *map;
	float offset;

	// A matrix of 8-bit codes: element e of the flattened weight is the integer code e times
	// the scale of block e/block, a float16. The operand begins at element first.
	const uint16_t *halves;
};

// The rounding of a family whose panels hold bfloat16: both operands' at u = 2^-8, (1 + u)² - 1.
#define kernels_bf16_rounding (0x1p-7f + 0x1p-16f)

// A family packs lines in panels of rows (left) or cols (right) lines. A partial panel is
// filled up with zeros, as is the depth up to a multiple of unit. Panels lie one after the
// other, so the panel of line l begins at its number times the panel's bytes.
struct kernels_family {
	const char *name;
	int bf16;  // panels hold bfloat16: operands are rounded to it
	int rows;  // lines of a left panel
	int cols;  // lines of a right panel
	int unit;  // the depth is padded to a multiple of it
	int bytes; // of an element of a panel
	int slice; // the depth at which a product is best cut, a multiple of unit

	// Lines of a left and of a right piece that, a slice deep, stay in a core's second cache
	// together with their sums: multiples of rows and cols.
	int left_piece, right_piece;
	const char *detail; // "float32, 512 bits"

	float rounding; // how far packing moves a product of two elements, relative to it; 0: float32
	int emulated;   // runs on instructions written in C, for tests
	int trial;      // has not run on such a processor yet: only by name

	int (*available)(void); // whether this processor and system run it
	int (*preferred)(void); // whether no other type multiplies faster here; NULL: yes
	// Packs lines lines of depth elements, each times scale. Operands of 8-bit codes are left
	// to kernels_pack_left and kernels_pack_right.
	void (*pack_left)(void *dst, const struct kernels_operand *o, long lines, long depth, float scale);
	void (*pack_right)(void *dst, const struct kernels_operand *o, long lines, long depth, float scale);
	// Computes sums [rows, cols], rows stride elements apart, from packed operands. With
	// accumulate it adds to sums, else it does not read them. Each element is summed in
	// order of depth, whatever the other sizes are.
	void (*multiply)(float *sums, long stride, const void *left, const void *right, long rows, long cols, long depth, int accumulate);
	// Runs rounds of the family's multiply-adds on registers alone, and returns how many
	// floating-point operations they were: in its time, the limit of multiply. NULL: unknown.
	double (*spin)(long rounds);
};

// Returns the family with number i in order of preference, NULL after the last.
const struct kernels_family *kernels_family(int i);

// Writes n elements of a line from depth from on, in float32.
void kernels_expand(float *dst, const struct kernels_operand *o, long line, long from, long n);

// Writes lines from line on, from depth from on, in float32: rows in memory one after the
// other, of depth elements or, if o is transposed, of lines.
void kernels_expand_rows(float *dst, const struct kernels_operand *o, long line, long lines, long from, long depth);

// Packs panels of width lines in order [panel][depth/unit][width][unit], as float32 or
// rounded to bfloat16. It takes any operand; families use it where they have nothing faster.
void kernels_pack(void *dst, const struct kernels_operand *o, long lines, long depth, float scale, int width, int unit, int bf16);

// Packs any operand for a family.
void kernels_pack_left(const struct kernels_family *f, void *dst, const struct kernels_operand *o, long lines, long depth, float scale);
void kernels_pack_right(const struct kernels_family *f, void *dst, const struct kernels_operand *o, long lines, long depth, float scale);

extern const struct kernels_family kernels_amx, kernels_amx3, kernels_amx_emulated, kernels_amx3_emulated;
extern const struct kernels_family kernels_avx512bf16, kernels_avx512, kernels_avx2;
extern const struct kernels_family kernels_neonbf16, kernels_neon, kernels_portable;

#endif
