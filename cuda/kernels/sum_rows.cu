// Sums over the rows of a matrix, column by column (columns.h has the formula): gradients of
// biases, of norms' weights and of magnitudes.
//
// x and with are BF16 [rows, cols]. The rows (of a turn) are split into as
// many pieces as the caller's workspace [turns·pieces, cols] has; a block of 8 warps sums one piece
// of 256 columns, each warp every 8th row, then adds the warps' sums in order; a second kernel adds
// the pieces in order. So the bits depend only on rows and pieces.
//
// It reads each element once (and that of `with`), for two operations: memory-bound. The partial
// sums are 8 bytes per piece and column, written and read.
#include "kernels/columns.h"
#include "kernels/elements.cuh"
#include "kernels/entries.h"
#include "runtime/launch.h"

namespace {

constexpr int kWarps = 8;
constexpr int kThreads = 32 * kWarps;
constexpr int kColumns = 32 * kEight;  // per block
constexpr int kShared = kWarps * kColumns * sizeof(float);

struct Sums {
  const bf16 *x, *with;
  const float* factor;
  float* partial;
  int64_t rows, x_stride, with_stride;  // rows of a turn
  int cols, pieces;
  bool wide;
};

// Additional parameters of the general instances.
struct General {
  const float* less;
  int turns;
};

// Returns eight elements; zeros beyond the last column.
__device__ __forceinline__ Eight load_within(const bf16* row, int col, int cols, bool wide) {
  if (wide) return load8(row + col);
  Eight e = {};
#pragma unroll
  for (int i = 0; i < kEight; i++) {
    if (col + i < cols) e.x[i] = ptx::to_float(row[col + i]);
  }
  return e;
}

template <bool kGeneral>
__global__ void __launch_bounds__(kThreads) sum_pieces(Sums s, General general) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, piece = blockIdx.y;
  const int col = blockIdx.x * kColumns + lane * kEight;
  const int64_t begin = s.rows * piece / s.pieces, end = s.rows * (piece + 1) / s.pieces;
  Eight sum = {};
  if (col < s.cols) {
#pragma unroll 2
    for (int64_t i = begin + warp; i < end; i += kWarps) {
      const int64_t row = kGeneral ? i * general.turns + blockIdx.z : i;
      Eight e = load_within(s.x + row * s.x_stride, col, s.cols, s.wide);
      float f = s.factor == nullptr ? 1.0f : s.factor[row];
      if (s.with != nullptr) {
        const float less = kGeneral && general.less != nullptr ? general.less[row] : 0.0f;
        Eight w = load_within(s.with + row * s.with_stride, col, s.cols, s.wide);
#pragma unroll
        for (int j = 0; j < kEight; j++) e.x[j] *= w.x[j] - less;
      }
#pragma unroll
      for (int j = 0; j < kEight; j++) sum.x[j] += e.x[j] * f;
    }
  }
  float* shared = shared_memory<float>();
  store8(shared + warp * kColumns + lane * kEight, sum);
  __syncthreads();
  const int mine = blockIdx.x * kColumns + threadIdx.x;  // kThreads == kColumns
  if (mine >= s.cols) return;
  float total = 0;
#pragma unroll
  for (int w = 0; w < kWarps; w++) total += shared[w * kColumns + threadIdx.x];
  s.partial[(int64_t{blockIdx.z} * s.pieces + piece) * s.cols + mine] = total;
}

__global__ void __launch_bounds__(kThreads)
    sum_join(const float* partial, const float* divisor, float* sum, int64_t sum_stride, int cols,
             int pieces) {
  int j = blockIdx.x * kThreads + threadIdx.x;
  if (j >= cols) return;
  partial += int64_t{blockIdx.y} * pieces * cols;  // of a turn
  sum += blockIdx.y * sum_stride;
  float total = 0;
  for (int p = 0; p < pieces; p++) total += partial[int64_t{p} * cols + j];
  sum[j] += divisor == nullptr ? total : total / divisor[j];
}

REGISTER_INSTANCE(sum_pieces_bf16, kThreads, kShared, sum_pieces<false>);
REGISTER_INSTANCE(sum_pieces_general_bf16, kThreads, kShared, sum_pieces<true>);
REGISTER_KERNEL(sum_join, kThreads, 0);

int sum_in_pieces(qlora_context* c, const ColumnSums& op) {
  bool wide = eights(op.x) && (op.with.data == nullptr || eights(op.with));
  Sums s{static_cast<const bf16*>(op.x.data),
         static_cast<const bf16*>(op.with.data),
         op.factor,
         static_cast<float*>(op.workspace.data),
         op.x.rows / op.turns,
         op.x.stride,
         op.with.stride,
         static_cast<int>(op.x.cols),
         static_cast<int>(op.workspace.rows / op.turns),
         wide};
  dim3 grid(static_cast<uint32_t>(ceil_div(s.cols, kColumns)), static_cast<uint32_t>(s.pieces),
            static_cast<uint32_t>(op.turns));
  const bool general = prefers(c, "general") || op.less != nullptr || op.turns > 1;
  return launch(c, general ? "sum_pieces_general_bf16" : "sum_pieces_bf16",
                general ? sum_pieces<true> : sum_pieces<false>, grid, dim3(kThreads), kShared, s,
                General{op.less, op.turns});
}

}  // namespace

int column_sums(qlora_context* c, const ColumnSums& op) {
  if (op.x.rows * op.x.cols == 0) return QLORA_OK;
  if (op.workspace.data == nullptr || op.workspace.rows < op.turns ||
      op.workspace.cols != op.x.cols || op.workspace.stride != op.x.cols) {
    return fail(c, QLORA_UNSUPPORTED, "sum_rows: no workspace of pieces of %lld columns",
                static_cast<long long>(op.x.cols));
  }
  if (op.x.dtype != QLORA_BF16) {
    return fail(c, QLORA_UNSUPPORTED, "sum_rows: of element type %d", op.x.dtype);
  }
  int status = sum_in_pieces(c, op);
  if (status != QLORA_OK) return status;
  dim3 grid(static_cast<uint32_t>(ceil_div(op.x.cols, kThreads)), static_cast<uint32_t>(op.turns));
  return launch(c, "sum_join", sum_join, grid, dim3(kThreads), 0,
                static_cast<const float*>(op.workspace.data),
                static_cast<const float*>(op.divisor.data), static_cast<float*>(op.sum.data),
                op.sum.stride, op.x.cols, op.workspace.rows / op.turns);
}

int sum_rows(qlora_context* c, const qlora_sum_rows* op) {
  return column_sums(c, {op->x, op->with, nullptr, nullptr, op->divisor, op->sum, op->workspace});
}
