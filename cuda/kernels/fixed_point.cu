// Gradients in fixed point, in steps of 2^-44 (bindings.Fold has the rules):
//
//   fold    sums += round(grad·2^44)    grad = 0      a gradient that is not below the limit
//                                                     sets the mark instead
//   unfold  grad = sums·2^-44                         NaN if the mark is set
//   round   grad = round(grad·2^44)·2^-44             NaN if not below the limit
//
// Whole numbers add up to the same bits in any order, so the sums may come from any number of
// devices. Scaling by a power of 2 is exact, and each result is rounded once, as on the CPU device.
// The mark is only ever set to 1, so it does not matter which thread does.
//
// One block per piece of 16,384 elements, a warp's elements are adjacent. 24 bytes per element, 12
// and 8: memory-bound.
#include "kernels/entries.h"
#include "kernels/params.cuh"
#include "runtime/launch.h"

namespace {

constexpr int kThreads = 256;
constexpr float kUp = 17592186044416.0f;  // 2^44
constexpr float kDown = 1 / kUp;

__device__ __forceinline__ int64_t steps(float x) { return static_cast<int64_t>(rintf(x * kUp)); }

__device__ __forceinline__ float of_steps(int64_t s) { return static_cast<float>(s) * kDown; }

__device__ __forceinline__ bool below(float x, float limit) { return fabsf(x) < limit; }

__device__ __forceinline__ float not_a_number() { return __uint_as_float(0x7fc00000); }

// A block's piece: its elements of the gradient and of the sums.
struct Piece {
  float* grad;
  int64_t* sums;
  int n;

  __device__ __forceinline__ explicit Piece(const Params& params) {
    const int which = params.of_piece(blockIdx.x);
    const qlora_param& p = params.list[which];
    const int64_t begin = (int64_t{blockIdx.x} - params.begins[which]) * QLORA_PIECE;
    grad = const_cast<float*>(ptx::global(p.grad)) + begin;
    sums = static_cast<int64_t*>(ptx::global(p.m)) + begin;
    n = static_cast<int>(min(p.n - begin, int64_t{QLORA_PIECE}));
  }
};

__global__ void __launch_bounds__(kThreads) fold_pieces(Params params, float limit, int64_t* mark) {
  const Piece piece(params);
#pragma unroll 4
  for (int i = threadIdx.x; i < piece.n; i += kThreads) {
    const float x = piece.grad[i];
    piece.grad[i] = 0;
    if (below(x, limit)) {
      piece.sums[i] += steps(x);
    } else {
      *mark = 1;
    }
  }
}
REGISTER_KERNEL(fold_pieces, kThreads, 0);

__global__ void __launch_bounds__(kThreads) unfold_pieces(Params params, const int64_t* mark) {
  const Piece piece(params);
  const bool refused = *mark != 0;
#pragma unroll 4
  for (int i = threadIdx.x; i < piece.n; i += kThreads) {
    piece.grad[i] = refused ? not_a_number() : of_steps(piece.sums[i]);
  }
}
REGISTER_KERNEL(unfold_pieces, kThreads, 0);

__global__ void __launch_bounds__(kThreads) round_pieces(Params params, float limit) {
  const Piece piece(params);
#pragma unroll 4
  for (int i = threadIdx.x; i < piece.n; i += kThreads) {
    const float x = piece.grad[i];
    piece.grad[i] = below(x, limit) ? of_steps(steps(x)) : not_a_number();
  }
}
REGISTER_KERNEL(round_pieces, kThreads, 0);

}  // namespace

int fixed_point(qlora_context* c, const qlora_fixed_point* op) {
  if (op->table.rows * op->table.cols < param_table_bytes(op->count)) {
    return fail(c, QLORA_UNSUPPORTED, "fixed_point: a table of less than its parameters");
  }
  Params params;
  int64_t pieces;
  const int status = upload_params(c, op->params, op->count, op->table.data, &params, &pieces);
  if (status != QLORA_OK || pieces == 0) return status;
  const dim3 grid(static_cast<uint32_t>(pieces)), block(kThreads);
  switch (op->step) {
    case QLORA_FOLD:
      return launch(c, "fold_pieces", fold_pieces, grid, block, 0, params, op->limit, op->mark);
    case QLORA_UNFOLD:
      return launch(c, "unfold_pieces", unfold_pieces, grid, block, 0, params, op->mark);
    case QLORA_ROUND:
      return launch(c, "round_pieces", round_pieces, grid, block, 0, params, op->limit);
  }
  return fail(c, QLORA_UNSUPPORTED, "fixed_point: step %d", op->step);
}
