// Rows multiplied by numbers, and sums of chosen rows:
//
//   scale_rows   x[t] *= factors[t]
//   gather       y[t] = sum of x[rows[j]], starts[t] <= j < starts[t+1]; without starts x[rows[t]]
//
// x and y are BF16, factors F32, rows and starts I32. A sum is of float32, in the order of its list,
// and is rounded once; gather does nothing once a check of the lists has failed. Its x and y may be
// views of columns in groups, as one head's keys are in a fused projection.
//
// A thread handles 8 elements of a row, 16 bytes. 4 bytes per element of x in scale_rows, and in
// gather 2 bytes per element that is read and 2 per element of y: memory-bound.
#include "kernels/elements.cuh"
#include "kernels/entries.h"
#include "runtime/launch.h"

namespace {

constexpr int kThreads = 128;

// Returns where a thread of the grid has its columns: the first of kWidth.
template <int kWidth>
__device__ __forceinline__ int column() {
  return static_cast<int>(blockIdx.y * kThreads + threadIdx.x) * kWidth;
}

template <int kWidth>
__global__ void __launch_bounds__(kThreads)
    scale_rows_of(bf16* x, int64_t stride, int cols, const float* factors) {
  const int col = column<kWidth>();
  if (col >= cols) return;
  const float factor = factors[blockIdx.x];
  bf16* at = x + blockIdx.x * stride + col;
  if constexpr (kWidth == kEight) {
    Eight v = load8(at);
#pragma unroll
    for (int i = 0; i < kEight; i++) v.x[i] *= factor;
    store8(at, v);
  } else {
    *at = ptx::from_float<bf16>(ptx::to_float(*at) * factor);
  }
}
REGISTER_INSTANCE(scale_rows_eights, kThreads, 0, scale_rows_of<kEight>);
REGISTER_INSTANCE(scale_rows_elements, kThreads, 0, scale_rows_of<1>);

// The columns of one side: groups of `width`, one every `period`; width 0: one group.
struct Columns {
  int64_t stride;
  int32_t width, period;
  __device__ __forceinline__ int64_t at(int64_t row, int col) const {
    if (width == 0) return row * stride + col;
    return row * stride + int64_t{col / width} * period + col % width;
  }
};

struct Gather {
  const bf16* x;
  bf16* y;
  const int32_t *rows, *starts;
  const Failure* failure;
  Columns from, to;
  int cols;
};

template <int kWidth>
__global__ void __launch_bounds__(kThreads) gather_rows_of(Gather g) {
  const int col = column<kWidth>();
  const int64_t t = blockIdx.x;
  if (col >= g.cols || g.failure->check != 0) return;
  const int begin = g.starts == nullptr ? static_cast<int>(t) : g.starts[t];
  const int end = g.starts == nullptr ? begin + 1 : g.starts[t + 1];
  bf16* y = g.y + g.to.at(t, col);
  if constexpr (kWidth == kEight) {
    Eight sum = {};
    for (int j = begin; j < end; j++) {
      Eight v = load8(g.x + g.from.at(g.rows[j], col));
#pragma unroll
      for (int i = 0; i < kEight; i++) sum.x[i] += v.x[i];
    }
    store8(y, sum);
  } else {
    float sum = 0;
    for (int j = begin; j < end; j++) sum += ptx::to_float(g.x[g.from.at(g.rows[j], col)]);
    *y = ptx::from_float<bf16>(sum);
  }
}
REGISTER_INSTANCE(gather_rows_eights, kThreads, 0, gather_rows_of<kEight>);
REGISTER_INSTANCE(gather_rows_elements, kThreads, 0, gather_rows_of<1>);

dim3 grid_of(const qlora_tensor& t, bool wide) {
  const int64_t each = wide ? kThreads * kEight : kThreads;
  return dim3(static_cast<uint32_t>(t.rows), static_cast<uint32_t>(ceil_div(t.cols, each)));
}

Columns columns(const qlora_tensor& t) { return {t.stride, t.width, t.period}; }

// Reports whether eight elements of t that start at a multiple of eight are 16 aligned bytes.
bool in_eights(const qlora_tensor& t) {
  return eights(t) && t.width % kEight == 0 && t.period % kEight == 0;
}

}  // namespace

int scale_rows(qlora_context* c, const qlora_scale_rows* op) {
  if (op->x.rows * op->x.cols == 0) return QLORA_OK;
  const bool wide = !prefers(c, "elements") && eights(op->x);
  return launch(c, wide ? "scale_rows_eights" : "scale_rows_elements",
                wide ? scale_rows_of<kEight> : scale_rows_of<1>, grid_of(op->x, wide),
                dim3(kThreads), 0, static_cast<bf16*>(op->x.data), op->x.stride,
                static_cast<int>(op->x.cols), static_cast<const float*>(op->factors.data));
}

int gather(qlora_context* c, const qlora_gather* op) {
  if (op->y.rows * op->y.cols == 0) return QLORA_OK;
  Gather g{static_cast<const bf16*>(op->x.data),
           static_cast<bf16*>(op->y.data),
           static_cast<const int32_t*>(op->rows.data),
           static_cast<const int32_t*>(op->starts.data),
           failure(c),
           columns(op->x),
           columns(op->y),
           static_cast<int>(op->y.cols)};
  const bool wide = !prefers(c, "elements") && in_eights(op->x) && in_eights(op->y);
  return launch(c, wide ? "gather_rows_eights" : "gather_rows_elements",
                wide ? gather_rows_of<kEight> : gather_rows_of<1>, grid_of(op->y, wide),
                dim3(kThreads), 0, g);
}
