// The arguments of a gemm kernel: the operands, the split of the contraction, and the epilogue.
#pragma once

#include <cstdint>

#include "include/qlora.h"
#include "kernels/quantized.cuh"
#include "ptx/ptx.cuh"

// A matrix in global memory, [rows, cols].
struct Operand {
  const bf16* data;
  int64_t stride;
  int32_t rows, cols;
  bool wide;   // 16-byte copies: the address and the stride are multiples of 16 bytes
  bool whole;  // wide, and rows are whole chunks of 16 bytes
};

// A weight in 4 bits, [rows, cols]: cols and the blocks of its scales are multiples of 64.
struct CodedWeight {
  const uint8_t* codes;
  Scales scales;
  int32_t rows, cols, kind, block_shift;

  __device__ int64_t element(int row, int col) const { return int64_t{row} * cols + col; }
};

// C = [C +] residual + bias + gain·scale·mask(x); absent vectors are NULL.
struct Epilogue {
  void* c;
  int64_t stride;
  const bf16* residual;
  int64_t residual_stride;
  const float* gain;
  AnyVector bias;
  int32_t m, n;
  float scale;
  bool f32, accumulate, masked;
  bool wide;  // 16-byte loads and stores of C and the residual
  qlora_mask mask;
  int32_t mask_row, mask_group;  // a group is 8 columns
};

// The gradient of a gated activation by its output's, C; g is NULL if there is none.
struct Gate {
  const bf16 *g, *u;
  bf16 *dg, *du;
  int64_t g_stride, u_stride, dg_stride, du_stride;
  int32_t kind;
  bool again;  // C becomes the activation's output
};

// The output of a gated activation, of the C of two parts whose columns take turns in a tile
// (gemm_gated.cuh); y is NULL if there is none.
struct Gated {
  bf16* y;
  int64_t stride;
  int32_t kind;
  int32_t k2;  // of the parts, the most
};

struct Product {
  Operand a, b, a2, b2;
  CodedWeight weight;  // instead of b
  int32_t k, k2;       // lengths of the contractions; k2 is 0 without an extension
  int32_t piece;       // of the contraction, summed by a block of blockIdx.z: a multiple of 64
  float* partial;      // [pieces, m, n] if there is more than one piece, else NULL
  float scale2;
  bool plain;  // operands are whole, and none is masked: the fast main loop
  int32_t mask_on;
  Epilogue end;
};

// What a launch computes: products of one A, each with a C of its own (NT), or the sum of products
// in the first one's C (NN). A sum's contraction goes through the parts, one after the other.
struct Products {
  static constexpr int kMost = QLORA_PARTS;
  Product of[kMost];
  int32_t legs;          // parts of the contraction: 1 unless they are summed
  Gate gate;             // of a sum
  Gated gated;           // of the first two parts, which are then one row of tiles
  int32_t first[kMost];  // column of tiles where a part's C begins; no part begins at INT32_MAX
  int32_t tile_columns;  // of all parts
};

// ---- of the operation's structs -------------------------------------------------------------

inline bool wide(const qlora_tensor& t, int64_t element) {
  return reinterpret_cast<uintptr_t>(t.data) % 16 == 0 && t.stride * element % 16 == 0;
}

inline Operand operand(const qlora_tensor& t) {
  return {static_cast<const bf16*>(t.data), t.stride,   static_cast<int32_t>(t.rows),
          static_cast<int32_t>(t.cols),     wide(t, 2), wide(t, 2) && t.cols % kEight == 0};
}

inline Epilogue epilogue(const qlora_gemm& op) {
  Epilogue e{};
  e.c = op.c.data;
  e.stride = op.c.stride;
  e.residual = static_cast<const bf16*>(op.residual.data);
  e.residual_stride = op.residual.stride;
  e.gain = static_cast<const float*>(op.gain.data);
  e.bias = any(op.bias);
  e.m = static_cast<int32_t>(op.c.rows);
  e.n = static_cast<int32_t>(op.c.cols);
  e.scale = op.scale;
  e.f32 = op.c.dtype == QLORA_F32;
  e.accumulate = op.accumulate != 0;
  e.masked = op.mask_on == QLORA_MASK_RESULT;
  e.wide = wide(op.c, e.f32 ? 4 : 2) && (e.residual == nullptr || wide(op.residual, 2));
  e.mask = op.mask;
  e.mask_row = op.mask_row;
  e.mask_group = op.mask_col / kEight;
  return e;
}
