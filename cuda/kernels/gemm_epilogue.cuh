// The epilogue of a product, for 8 adjacent sums of one row of C.
#pragma once

#include "kernels/elements.cuh"
#include "kernels/gemm_product.h"
#include "kernels/philox.cuh"

static_assert(kEight == 8, "a block of Philox masks 8 columns");

__device__ __forceinline__ float float_or_bf16(const void* p, bool f32, int64_t i) {
  return f32 ? static_cast<const float*>(p)[i] : ptx::to_float(static_cast<const bf16*>(p)[i]);
}

// Writes element (row, col) of C from its sum after gain, bias and scale.
__device__ __forceinline__ void finish_element(const Epilogue& e, int row, int col, float x) {
  int64_t at = row * e.stride + col;
  if (e.residual != nullptr) x += ptx::to_float(e.residual[row * e.residual_stride + col]);
  if (e.accumulate) x += float_or_bf16(e.c, e.f32, at);
  if (e.f32) {
    static_cast<float*>(e.c)[at] = x;
  } else {
    static_cast<bf16*>(e.c)[at] = ptx::from_float<bf16>(x);
  }
}

// gain·scale·x + bias of a column.
__device__ __forceinline__ float finish_column(const Epilogue& e, int col, float x) {
  x *= e.scale;
  if (e.gain != nullptr) x *= e.gain[col];
  if (e.bias.data != nullptr) x += e.bias.one(col);
  return x;
}

__device__ __forceinline__ void add(Eight* x, const Eight& y) {
#pragma unroll
  for (int i = 0; i < kEight; i++) x->x[i] += y.x[i];
}

// Writes columns [col, col + 8) of C's row, up to its end, from the sums x.
__device__ inline void finish(const Epilogue& e, int row, int col, Eight x) {
  if (e.masked) {
    uint32_t kept = dropout_kept(e.mask, row + e.mask_row, col / kEight + e.mask_group);
#pragma unroll
    for (int i = 0; i < kEight; i++) x.x[i] *= dropout_factor(e.mask, kept >> i);
  }
  int count = min(kEight, e.n - col);
#pragma unroll
  for (int i = 0; i < kEight; i++) {
    if (i < count) x.x[i] = finish_column(e, col + i, x.x[i]);
  }
  if (!e.wide || count < kEight) {
#pragma unroll
    for (int i = 0; i < kEight; i++) {
      if (i < count) finish_element(e, row, col + i, x.x[i]);
    }
    return;
  }
  if (e.residual != nullptr) add(&x, load8(e.residual + row * e.residual_stride + col));
  int64_t at = row * e.stride + col;
  if (e.f32) {
    float* c = static_cast<float*>(e.c) + at;
    if (e.accumulate) add(&x, load8(c));
    store8(c, x);
  } else {
    bf16* c = static_cast<bf16*>(e.c) + at;
    if (e.accumulate) add(&x, load8(c));
    store8(c, x);
  }
}
