// y = x·gain[col]/divisor[col] - less, for an adapter with magnitudes (DoRA).
//
// x, y and less are F32 or BF16 [rows, cols], of the same type; gain and divisor F32 [1, cols]; all
// but x and y are optional, and y may be x or less. A thread keeps the factors of its 8 columns for
// kRows rows. It moves each element twice (three times with less): memory-bound.
#include "kernels/elements.cuh"
#include "kernels/entries.h"
#include "runtime/launch.h"

namespace {

constexpr int kThreads = 128;
constexpr int kRows = 8;

template <class T>
struct ScaleColumns {
  const T *x, *less;
  T* y;
  const float *gain, *divisor;
  int64_t rows, x_stride, less_stride, y_stride;
  int cols;
};

__device__ __forceinline__ float factor_of(const float* gain, const float* divisor, int col) {
  float f = gain == nullptr ? 1.0f : gain[col];
  return divisor == nullptr ? f : f / divisor[col];
}

// Each thread handles kWidth columns, 8 or 1.
template <class T, int kWidth>
__global__ void __launch_bounds__(kThreads) scale_columns_of(ScaleColumns<T> s) {
  const int col = (blockIdx.y * kThreads + threadIdx.x) * kWidth;
  if (col >= s.cols) return;
  float factor[kWidth];
#pragma unroll
  for (int i = 0; i < kWidth; i++) factor[i] = factor_of(s.gain, s.divisor, col + i);
#pragma unroll
  for (int i = 0; i < kRows; i++) {
    int64_t row = int64_t{blockIdx.x} * kRows + i;
    if (row >= s.rows) break;
    const T* x = s.x + row * s.x_stride + col;
    const T* less = s.less == nullptr ? nullptr : s.less + row * s.less_stride + col;
    T* y = s.y + row * s.y_stride + col;
    if constexpr (kWidth == kEight) {
      Eight v = load8(x), minus = {};
      if (less != nullptr) minus = load8(less);
#pragma unroll
      for (int j = 0; j < kEight; j++) v.x[j] = v.x[j] * factor[j] - minus.x[j];
      store8(y, v);
    } else {
      float minus = less == nullptr ? 0.0f : ptx::to_float(*less);
      *y = ptx::from_float<T>(ptx::to_float(*x) * factor[0] - minus);
    }
  }
}
REGISTER_INSTANCE(scale_columns_bf16, kThreads, 0, scale_columns_of<bf16, kEight>);
REGISTER_INSTANCE(scale_columns_f32, kThreads, 0, scale_columns_of<float, kEight>);
REGISTER_INSTANCE(scale_columns_bf16_elements, kThreads, 0, scale_columns_of<bf16, 1>);
REGISTER_INSTANCE(scale_columns_f32_elements, kThreads, 0, scale_columns_of<float, 1>);

template <class T>
int scale_as(qlora_context* c, const char* name, const char* elements_name,
             const qlora_scale_columns* op) {
  bool wide = !prefers(c, "elements") && eights(op->x) && eights(op->y) &&
              (op->less.data == nullptr || eights(op->less));
  ScaleColumns<T> s{static_cast<const T*>(op->x.data),
                    static_cast<const T*>(op->less.data),
                    static_cast<T*>(op->y.data),
                    static_cast<const float*>(op->gain.data),
                    static_cast<const float*>(op->divisor.data),
                    op->x.rows,
                    op->x.stride,
                    op->less.stride,
                    op->y.stride,
                    static_cast<int>(op->x.cols)};
  dim3 grid(static_cast<uint32_t>(ceil_div(s.rows, kRows)),
            static_cast<uint32_t>(ceil_div(s.cols, wide ? kThreads * kEight : kThreads)));
  return wide ? launch(c, name, scale_columns_of<T, kEight>, grid, dim3(kThreads), 0, s)
              : launch(c, elements_name, scale_columns_of<T, 1>, grid, dim3(kThreads), 0, s);
}

}  // namespace

int scale_columns(qlora_context* c, const qlora_scale_columns* op) {
  if (op->x.rows * op->x.cols == 0) return QLORA_OK;
  if (op->x.dtype == QLORA_BF16) {
    return scale_as<bf16>(c, "scale_columns_bf16", "scale_columns_bf16_elements", op);
  }
  if (op->x.dtype == QLORA_F32) {
    return scale_as<float>(c, "scale_columns_f32", "scale_columns_f32_elements", op);
  }
  return fail(c, QLORA_UNSUPPORTED, "scale_columns: of element type %d", op->x.dtype);
}
