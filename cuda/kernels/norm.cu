// RMSNorm (Zhang & Sennrich 2019) of each row, forward and backward, in float32:
//
//   inv_rms = 1/sqrt(mean(x²) + eps)     y = x·inv_rms·weight
//   dx (+)= inv_rms·(g - x·inv_rms²·mean(g·x))   with g = dy·weight
//   dweight += sum over rows of dy·x·inv_rms     (sum_rows.cu)
//
// x, y, dy, dx are BF16 [rows, cols], the weight F32, BF16 or F16. A group of kLanes lanes has a
// row, kVectors times 8 elements each, and keeps it in registers between the sum and what is
// written: a norm of heads of 128 takes 16 lanes, 8 rows a warp; a row of 4096 a block of 256. So
// y may be x, and dx dy. Rows that are wider than 16,384 or not aligned go one element at a time,
// and are read twice.
//
// Forward moves 4 bytes an element, backward 6 (8 accumulating, 4 more for dweight); 4 and 7
// operations for them are nothing: the floor is the memory's.
#include "kernels/columns.h"
#include "kernels/elements.cuh"
#include "kernels/entries.h"
#include "kernels/reduce.cuh"
#include "runtime/launch.h"

namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
constexpr int kShared = kWarps * sizeof(float);

struct Norm {
  const bf16* x;
  AnyVector weight;
  bf16* y;
  float* inv_rms;
  int64_t rows, x_stride, y_stride;
  int cols;
  float eps;
};

struct NormBackward {
  const bf16 *x, *dy;
  AnyVector weight;
  const float* inv_rms;
  bf16* dx;
  int64_t rows, x_stride, dy_stride, dx_stride;
  int cols;
  bool accumulate;
};

// The sum over the lanes that share a row.
template <int kLanes>
__device__ __forceinline__ float row_sum(float x) {
  if constexpr (kLanes <= 32) {
    return lanes_sum<kLanes>(x);
  } else {
    return block_sum<kWarps>(x, shared_memory<float>());
  }
}

template <int kLanes, int kVectors>
__global__ void __launch_bounds__(kThreads) norm_rows(Norm n) {
  const int lane = threadIdx.x % kLanes;
  const int64_t row = int64_t{blockIdx.x} * (kThreads / kLanes) + threadIdx.x / kLanes;
  const bool mine = row < n.rows;  // lanes without a row still meet in the sum
  const bf16* x = n.x + row * n.x_stride;
  uint4 kept[kVectors] = {};
  float sum = 0;
#pragma unroll
  for (int v = 0; v < kVectors; v++) {
    int col = (v * kLanes + lane) * kEight;
    kept[v] = mine && col < n.cols ? ptx::load128(x + col) : make_uint4(0, 0, 0, 0);
  }
#pragma unroll
  for (int v = 0; v < kVectors; v++) {
    Eight e = widen(kept[v]);
#pragma unroll
    for (int i = 0; i < kEight; i++) sum += e.x[i] * e.x[i];
  }
  float r = ptx::rsqrt(row_sum<kLanes>(sum) / static_cast<float>(n.cols) + n.eps);
  if (!mine) return;
  if (lane == 0 && n.inv_rms != nullptr) n.inv_rms[row] = r;
  bf16* y = n.y + row * n.y_stride;
#pragma unroll
  for (int v = 0; v < kVectors; v++) {
    int col = (v * kLanes + lane) * kEight;
    if (col >= n.cols) break;
    Eight e = widen(kept[v]), w = n.weight.eight(col);
#pragma unroll
    for (int i = 0; i < kEight; i++) e.x[i] *= r * w.x[i];
    store8(y + col, e);
  }
}

__global__ void __launch_bounds__(kThreads) norm_elements(Norm n) {
  const bf16* x = n.x + int64_t{blockIdx.x} * n.x_stride;
  bf16* y = n.y + int64_t{blockIdx.x} * n.y_stride;
  float sum = 0;
  for (int j = threadIdx.x; j < n.cols; j += kThreads) {
    float v = ptx::to_float(x[j]);
    sum += v * v;
  }
  float r = ptx::rsqrt(row_sum<kThreads>(sum) / static_cast<float>(n.cols) + n.eps);
  if (threadIdx.x == 0 && n.inv_rms != nullptr) n.inv_rms[blockIdx.x] = r;
  for (int j = threadIdx.x; j < n.cols; j += kThreads) {
    y[j] = ptx::from_float<bf16>(ptx::to_float(x[j]) * (r * n.weight.one(j)));
  }
}

template <int kLanes, int kVectors>
__global__ void __launch_bounds__(kThreads) norm_backward_rows(NormBackward n) {
  const int lane = threadIdx.x % kLanes;
  const int64_t row = int64_t{blockIdx.x} * (kThreads / kLanes) + threadIdx.x / kLanes;
  const bool mine = row < n.rows;
  uint4 x[kVectors] = {}, dy[kVectors] = {};
  float sum = 0;
#pragma unroll
  for (int v = 0; v < kVectors; v++) {
    int col = (v * kLanes + lane) * kEight;
    bool there = mine && col < n.cols;
    x[v] = there ? ptx::load128(n.x + row * n.x_stride + col) : make_uint4(0, 0, 0, 0);
    dy[v] = there ? ptx::load128(n.dy + row * n.dy_stride + col) : make_uint4(0, 0, 0, 0);
  }
#pragma unroll
  for (int v = 0; v < kVectors; v++) {
    int col = (v * kLanes + lane) * kEight;
    if (col >= n.cols) break;
    Eight e = widen(x[v]), g = widen(dy[v]), w = n.weight.eight(col);
#pragma unroll
    for (int i = 0; i < kEight; i++) sum += g.x[i] * w.x[i] * e.x[i];
  }
  sum = row_sum<kLanes>(sum);
  if (!mine) return;
  float r = n.inv_rms[row], c = sum / static_cast<float>(n.cols) * r * r;
  bf16* dx = n.dx + row * n.dx_stride;
#pragma unroll
  for (int v = 0; v < kVectors; v++) {
    int col = (v * kLanes + lane) * kEight;
    if (col >= n.cols) break;
    Eight e = widen(x[v]), g = widen(dy[v]), w = n.weight.eight(col), to = {};
    if (n.accumulate) to = load8(dx + col);
#pragma unroll
    for (int i = 0; i < kEight; i++) to.x[i] += r * (g.x[i] * w.x[i] - e.x[i] * c);
    store8(dx + col, to);
  }
}

__global__ void __launch_bounds__(kThreads) norm_backward_elements(NormBackward n) {
  const int64_t row = blockIdx.x;
  const bf16 *x = n.x + row * n.x_stride, *dy = n.dy + row * n.dy_stride;
  bf16* dx = n.dx + row * n.dx_stride;
  float sum = 0;
  for (int j = threadIdx.x; j < n.cols; j += kThreads) {
    sum += ptx::to_float(dy[j]) * n.weight.one(j) * ptx::to_float(x[j]);
  }
  sum = row_sum<kThreads>(sum);
  float r = n.inv_rms[row], c = sum / static_cast<float>(n.cols) * r * r;
  for (int j = threadIdx.x; j < n.cols; j += kThreads) {
    float to = r * (ptx::to_float(dy[j]) * n.weight.one(j) - ptx::to_float(x[j]) * c);
    if (n.accumulate) to += ptx::to_float(dx[j]);
    dx[j] = ptx::from_float<bf16>(to);
  }
}

// The instances by the widest row that they take.
struct Instance {
  int cols, lanes;
  const char *forward_name, *backward_name;
  void (*forward)(Norm);
  void (*backward)(NormBackward);
};

#define NORM_INSTANCE(lanes, vectors)                                 \
  {lanes * vectors * kEight,    lanes,                                \
   "norm_" #lanes "x" #vectors, "norm_backward_" #lanes "x" #vectors, \
   norm_rows<lanes, vectors>,   norm_backward_rows<lanes, vectors>}
#define REGISTER_NORM(lanes, vectors)                                                        \
  REGISTER_INSTANCE(norm_##lanes##x##vectors, kThreads, kShared, norm_rows<lanes, vectors>); \
  REGISTER_INSTANCE(norm_backward_##lanes##x##vectors, kThreads, kShared,                    \
                    norm_backward_rows<lanes, vectors>)

const Instance kInstances[] = {
    NORM_INSTANCE(8, 1),   NORM_INSTANCE(16, 1),  NORM_INSTANCE(32, 1),  NORM_INSTANCE(32, 4),
    NORM_INSTANCE(256, 1), NORM_INSTANCE(256, 2), NORM_INSTANCE(256, 4), NORM_INSTANCE(256, 8),
};
REGISTER_NORM(8, 1);
REGISTER_NORM(16, 1);
REGISTER_NORM(32, 1);
REGISTER_NORM(32, 4);
REGISTER_NORM(256, 1);
REGISTER_NORM(256, 2);
REGISTER_NORM(256, 4);
REGISTER_NORM(256, 8);
REGISTER_KERNEL(norm_elements, kThreads, kShared);
REGISTER_KERNEL(norm_backward_elements, kThreads, kShared);

// The narrowest instance that takes rows of so many columns, or nullptr.
const Instance* instance(int64_t cols) {
  for (const Instance& i : kInstances) {
    if (cols <= i.cols) return &i;
  }
  return nullptr;
}

dim3 grid_of(const Instance& i, int64_t rows) {
  return dim3(static_cast<uint32_t>(ceil_div(rows, kThreads / i.lanes)));
}

}  // namespace

int norm(qlora_context* c, const qlora_norm* op) {
  if (op->x.rows * op->x.cols == 0) return QLORA_OK;
  Norm n{static_cast<const bf16*>(op->x.data),
         any(op->weight),
         static_cast<bf16*>(op->y.data),
         static_cast<float*>(op->inv_rms.data),
         op->x.rows,
         op->x.stride,
         op->y.stride,
         static_cast<int>(op->x.cols),
         op->eps};
  const Instance* i = instance(op->x.cols);
  if (i != nullptr && eights(op->x) && eights(op->y) && eights(op->weight)) {
    return launch(c, i->forward_name, i->forward, grid_of(*i, n.rows), dim3(kThreads), kShared, n);
  }
  return launch(c, "norm_elements", norm_elements, dim3(static_cast<uint32_t>(n.rows)),
                dim3(kThreads), kShared, n);
}

int norm_backward(qlora_context* c, const qlora_norm_backward* op) {
  if (op->x.rows * op->x.cols == 0) return QLORA_OK;
  if (op->dweight.data != nullptr) {  // first: dx may lie over dy
    ColumnSums sums{op->dy, op->x,       static_cast<const float*>(op->inv_rms.data),
                    {},     op->dweight, op->workspace};
    int status = column_sums(c, sums);
    if (status != QLORA_OK) return status;
  }
  NormBackward n{static_cast<const bf16*>(op->x.data),
                 static_cast<const bf16*>(op->dy.data),
                 any(op->weight),
                 static_cast<const float*>(op->inv_rms.data),
                 static_cast<bf16*>(op->dx.data),
                 op->x.rows,
                 op->x.stride,
                 op->dy.stride,
                 op->dx.stride,
                 static_cast<int>(op->x.cols),
                 op->accumulate != 0};
  const Instance* i = instance(op->x.cols);
  if (i != nullptr && eights(op->x) && eights(op->dy) && eights(op->dx) && eights(op->weight)) {
    return launch(c, i->backward_name, i->backward, grid_of(*i, n.rows), dim3(kThreads), kShared,
                  n);
  }
  return launch(c, "norm_backward_elements", norm_backward_elements,
                dim3(static_cast<uint32_t>(n.rows)), dim3(kThreads), kShared, n);
}
