// A branch added to the residual stream, with dropout, element by element:
//
//   y = residual + scale·dropout(x)
//
// and its gradient, which is the same without a residual: dx = scale·dropout(dy). x, residual and y
// are BF16 [tokens, features]; y may be x or residual.
//
// Each thread handles 8 columns of a row, 16 bytes of each operand, and with dropout draws the one
// Philox block that they share, some 60 instructions; for rows that are not aligned, 8 elements one
// by one. It moves 6 bytes per element, 4 without a residual: memory-bound.
#include "kernels/elements.cuh"
#include "kernels/entries.h"
#include "kernels/philox.cuh"
#include "runtime/launch.h"

namespace {

constexpr int kThreads = 256;

struct Add {
  const bf16 *x, *residual;  // residual may be NULL
  bf16* y;
  int cols;
  int64_t x_stride, residual_stride, y_stride;
  uint32_t blocks;  // of a row
  float scale;
  qlora_mask mask;
  bool wide;
};

template <bool kDropout>
__global__ void __launch_bounds__(kThreads) add_rows(Add a) {
  const uint32_t row = blockIdx.x / a.blocks;
  const int col = static_cast<int>((blockIdx.x % a.blocks * kThreads + threadIdx.x) * kEight);
  if (col >= a.cols) return;
  const bf16* x = a.x + row * a.x_stride + col;
  const bf16* residual =
      a.residual == nullptr ? nullptr : a.residual + row * a.residual_stride + col;
  bf16* y = a.y + row * a.y_stride + col;
  uint32_t kept = 0xff;
  if constexpr (kDropout) kept = dropout_kept(a.mask, row, col / kEight);
  if (a.wide && col + kEight <= a.cols) {
    Eight v = load8(x), to = {};
    if (residual != nullptr) to = load8(residual);
#pragma unroll
    for (int i = 0; i < kEight; i++) {
      float factor = kDropout ? a.scale * dropout_factor(a.mask, kept >> i) : a.scale;
      to.x[i] += factor * v.x[i];
    }
    store8(y, to);
    return;
  }
#pragma unroll 1
  for (int i = 0; i < kEight && col + i < a.cols; i++) {
    float factor = kDropout ? a.scale * dropout_factor(a.mask, kept >> i) : a.scale;
    float to = residual == nullptr ? 0 : ptx::to_float(residual[i]);
    y[i] = ptx::from_float<bf16>(to + factor * ptx::to_float(x[i]));
  }
}
REGISTER_INSTANCE(add_all, kThreads, 0, add_rows<false>);
REGISTER_INSTANCE(add_kept, kThreads, 0, add_rows<true>);

}  // namespace

int add(qlora_context* c, const qlora_add* op) {
  if (op->y.rows * op->y.cols == 0) return QLORA_OK;
  const bool dropout = op->mask.threshold > 0;
  const bool wide =
      eights(op->x) && eights(op->y) && (op->residual.data == nullptr || eights(op->residual));
  Add a{static_cast<const bf16*>(op->x.data),
        static_cast<const bf16*>(op->residual.data),
        static_cast<bf16*>(op->y.data),
        static_cast<int>(op->y.cols),
        op->x.stride,
        op->residual.stride,
        op->y.stride,
        static_cast<uint32_t>(ceil_div(op->y.cols, kThreads * kEight)),
        op->scale,
        op->mask,
        wide};
  return launch(c, dropout ? "add_kept" : "add_all", dropout ? add_rows<true> : add_rows<false>,
                dim3(static_cast<uint32_t>(op->y.rows * a.blocks)), dim3(kThreads), 0, a);
}
