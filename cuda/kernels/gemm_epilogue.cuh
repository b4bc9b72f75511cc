// The epilogue of a product, for 8 adjacent sums of one row of C.
#pragma once

#include "kernels/activate.cuh"
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

template <int kKind>
__device__ __forceinline__ void gate_gradients(Eight* g, Eight* u, Eight* y) {
#pragma unroll
  for (int i = 0; i < kEight; i++) {
    const activations::Gradients all = activations::gradients<kKind>(g->x[i], u->x[i], y->x[i]);
    g->x[i] = all.dg;
    u->x[i] = all.du;
    y->x[i] = all.y;
  }
}

// Computes a gate's gradients from 8 sums, which are rounded as C would be, and writes C. All
// operands have whole vectors of 16 bytes.
__device__ inline void finish_gate(const Epilogue& e, const Gate& gate, int row, int col,
                                   const Eight& x) {
  Eight y = widen(narrow(x));
  Eight g = load8(gate.g + row * gate.g_stride + col);
  Eight u = load8(gate.u + row * gate.u_stride + col);
  if (gate.kind == QLORA_SILU) {
    gate_gradients<QLORA_SILU>(&g, &u, &y);
  } else {
    gate_gradients<QLORA_GELU_TANH>(&g, &u, &y);
  }
  store8(gate.dg + row * gate.dg_stride + col, g);
  store8(gate.du + row * gate.du_stride + col, u);
  if (gate.again) store8(static_cast<bf16*>(e.c) + row * e.stride + col, y);
}
