// The end of a product: what becomes of 8 neighbouring sums of one row of C.
#pragma once

#include "kernels/gemm_product.h"
#include "kernels/philox.cuh"

constexpr int kVector = 8;  // columns: 16 bytes of BF16, and a block of Philox

__device__ inline float bias_at(const Epilogue& e, int col) {
  switch (e.bias_type) {
    case QLORA_BF16:
      return ptx::to_float(static_cast<const bf16*>(e.bias)[col]);
    case QLORA_F16:
      return ptx::to_float(static_cast<const f16*>(e.bias)[col]);
    default:
      return static_cast<const float*>(e.bias)[col];
  }
}

__device__ inline void add_pair(float (&x)[kVector], int i, uint32_t pair) {
  x[i] += ptx::low(pair);
  x[i + 1] += ptx::high(pair);
}

__device__ inline void add_bf16(float (&x)[kVector], const bf16* from) {
  uint4 y = ptx::load128(from);
  add_pair(x, 0, y.x);
  add_pair(x, 2, y.y);
  add_pair(x, 4, y.z);
  add_pair(x, 6, y.w);
}

__device__ inline void load_floats(float (&x)[kVector], const float* from) {
#pragma unroll
  for (int i = 0; i < kVector; i += 4) {
    uint4 y = ptx::load128(from + i);
    x[i] = __uint_as_float(y.x);
    x[i + 1] = __uint_as_float(y.y);
    x[i + 2] = __uint_as_float(y.z);
    x[i + 3] = __uint_as_float(y.w);
  }
}

__device__ inline void store_floats(float* to, const float (&x)[kVector]) {
#pragma unroll
  for (int i = 0; i < kVector; i += 4) {
    ptx::store128(to + i, make_uint4(__float_as_uint(x[i]), __float_as_uint(x[i + 1]),
                                     __float_as_uint(x[i + 2]), __float_as_uint(x[i + 3])));
  }
}

// Writes columns [col, col + 8) of C's row, as far as there are, from the sums x.
__device__ inline void finish(const Epilogue& e, int row, int col, float (&x)[kVector]) {
  int count = min(kVector, e.n - col);
  if (e.masked) {
    uint32_t kept = dropout_kept(e.mask, row + e.mask_row, col / kVector + e.mask_group);
#pragma unroll
    for (int i = 0; i < kVector; i++) x[i] *= dropout_factor(e.mask, kept >> i);
  }
#pragma unroll
  for (int i = 0; i < kVector; i++) {
    x[i] *= e.scale;
    if (i < count) {
      if (e.gain != nullptr) x[i] *= e.gain[col + i];
      if (e.bias != nullptr) x[i] += bias_at(e, col + i);
    }
  }
  const bf16* residual =
      e.residual == nullptr ? nullptr : e.residual + row * e.residual_stride + col;
  int64_t at = row * e.stride + col;
  if (e.wide && count == kVector) {
    if (residual != nullptr) add_bf16(x, residual);
    if (e.f32) {
      float* c = static_cast<float*>(e.c) + at;
      if (e.accumulate) {
        float y[kVector];
        load_floats(y, c);
#pragma unroll
        for (int i = 0; i < kVector; i++) x[i] += y[i];
      }
      store_floats(c, x);
      return;
    }
    bf16* c = static_cast<bf16*>(e.c) + at;
    if (e.accumulate) add_bf16(x, c);
    ptx::store128(c, make_uint4(ptx::pack(x[0], x[1]), ptx::pack(x[2], x[3]), ptx::pack(x[4], x[5]),
                                ptx::pack(x[6], x[7])));
    return;
  }
#pragma unroll
  for (int i = 0; i < kVector; i++) {
    if (i >= count) break;
    if (residual != nullptr) x[i] += ptx::to_float(residual[i]);
    if (e.f32) {
      float* c = static_cast<float*>(e.c) + at + i;
      *c = e.accumulate ? x[i] + *c : x[i];
    } else {
      bf16* c = static_cast<bf16*>(e.c) + at + i;
      *c = ptx::from_float<bf16>(e.accumulate ? x[i] + ptx::to_float(*c) : x[i]);
    }
  }
}
