// Gate and up of an MLP in one tile, so that an epilogue computes the activation from both:
//
//   g = X·Gateᵀ    u = X·Upᵀ    y = f(g)·u
//
// Columns of both take turns among the sums: 8 of g, the same 8 of u, the next 8 of g. A thread
// copies rows of one of the weights, so that the main loop is any product's but for where its cursors
// begin. A warp has both sums of an element.
//
// The extensions take turns in a slice: its first half is of g, the second of u, and zeros meet the
// other's rows of B. A sum has the terms of a launch of its own in the same steps of 16, and zeros:
// the same bits.
#pragma once

#include "kernels/gemm_epilogue.cuh"
#include "kernels/gemm_tile.cuh"

// Returns the cursor at the weights' rows (b or b2 of a part) of the sums' column col0.
template <class B>
__device__ __forceinline__ typename B::Cursor gated_rows(const Operand& g, const Operand& u,
                                                         int col0, int k0, int k1) {
  static_assert(B::kPassRows % 16 == 0, "a thread copies rows of one weight");
  const int r = threadIdx.x / B::kChunks, col = k0 + threadIdx.x % B::kChunks * kEight;
  const Operand& from = r / kEight % 2 == 0 ? g : u;
  const int row = col0 / 2 + r / 16 * kEight + r % kEight;
  typename B::Cursor c;
  c.at = from.data + row * from.stride + col;
  c.pass = B::kPassRows / 2 * from.stride;
  c.slice = B::kCols;
  c.left = k1 - col;
  c.rows = 2 * (from.rows - row);
  c.to = B::offset(r, threadIdx.x % B::kChunks);
  return c;
}

// Makes a cursor's slices half as long: a thread has its place in the first or the second half.
template <class Tile>
__device__ __forceinline__ bool halve(typename Tile::Cursor* c) {
  const bool second = threadIdx.x % Tile::kChunks >= Tile::kChunks / 2;
  if (second) c->at -= Tile::kCols / 2, c->left += Tile::kCols / 2;
  c->slice = Tile::kCols / 2;
  c->left *= 2;  // a slice takes all of its columns
  return second;
}

template <class A>
__device__ __forceinline__ typename A::Cursor gated_low(const Product& g, const Product& u,
                                                        int row0) {
  const bool second = threadIdx.x % A::kChunks >= A::kChunks / 2;
  const Product& of = second ? u : g;
  typename A::Cursor c = A::cursor(of.a2, row0, 0, of.k2);
  halve<A>(&c);
  return c;
}

template <class B>
__device__ __forceinline__ typename B::Cursor gated_up(const Product& g, const Product& u,
                                                       int col0) {
  const bool second = threadIdx.x % B::kChunks >= B::kChunks / 2;
  typename B::Cursor c = gated_rows<B>(g.b2, u.b2, col0, 0, second ? u.k2 : g.k2);
  halve<B>(&c);
  if (second != (threadIdx.x / B::kChunks / kEight % 2 != 0)) c.left = 0;
  return c;
}

template <int kKind>
__device__ __forceinline__ Eight gated_output(const Eight& g, const Eight& u) {
  Eight y;
#pragma unroll
  for (int i = 0; i < kEight; i++) y.x[i] = activations::activation<kKind>(g.x[i]).f * u.x[i];
  return y;
}

// Returns 8 elements of a part's C from their sums, rounded as they are stored.
__device__ __forceinline__ Eight gated_column(const Epilogue& e, int row, int col, Eight x) {
#pragma unroll
  for (int i = 0; i < kEight; i++) x.x[i] = finish_column(e, col + i, x.x[i]);
  const uint4 packed = narrow(x);
  ptx::store128(static_cast<bf16*>(e.c) + row * e.stride + col, packed);
  return widen(packed);
}

// Writes columns [col, col + 8) of g, u and y from the sums of g and u.
__device__ inline void finish_gated(const Products& all, int row, int col, const Eight& g_sums,
                                    const Eight& u_sums) {
  const Eight g = gated_column(all.of[0].end, row, col, g_sums);
  const Eight u = gated_column(all.of[1].end, row, col, u_sums);
  bf16* y = all.gated.y + row * all.gated.stride + col;
  if (all.gated.kind == QLORA_SILU) {
    store8(y, gated_output<QLORA_SILU>(g, u));
  } else {
    store8(y, gated_output<QLORA_GELU_TANH>(g, u));
  }
}
