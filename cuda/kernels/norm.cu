// RMSNorm (Zhang & Sennrich 2019) and LayerNorm (Ba et al. 2016) of each row, forward and backward,
// in float32. mean is the row's if the norm is centered, else 0; w = weight + offset:
//
//   rstd = 1/sqrt(mean((x-mean)²) + eps)     y = (x-mean)·rstd·w + bias
//   dx (+)= rstd·(g - n·mean(g·n) - mean(g))   with g = dy·w, n = (x-mean)·rstd; the last if centered
//   dweight += sum over rows of dy·n     dbias += sum over rows of dy     (sum_rows.cu)
//
// x, y, dy, dx are BF16 [rows, cols], the weight and the bias F32, BF16 or F16 [turns, cols], used
// by rows in turn; absent ones are 1 and 0. A group of kLanes lanes handles a row, kVectors times 8
// elements each, and keeps it in registers between the sum and the output: a norm of heads of 128
// takes 16 lanes, 2 rows per warp; a row of 4096 takes a block of 256 threads. So y may be x, and
// dx dy. Rows wider than 16,384 or not aligned are processed one element at a time and read again
// for each sum. The plain instances are RMSNorm with one row of weights and no offset; the general
// ones add a mean, a bias, an offset, turns, or have no weight.
//
// Forward moves 4 bytes per element, backward 6 (8 accumulating, 4 more for dweight, 2 for dbias),
// for 4 to 11 operations: memory-bound.
#include "kernels/columns.h"
#include "kernels/elements.cuh"
#include "kernels/entries.h"
#include "kernels/reduce.cuh"
#include "runtime/launch.h"

namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
constexpr int kShared = kWarps * sizeof(float);  // per sum over a block

struct Norm {
  const bf16* x;
  AnyVector weight;
  bf16* y;
  float* rstd;
  int64_t rows, x_stride, y_stride;
  int cols;
  float eps;
};

struct NormBackward {
  const bf16 *x, *dy;
  AnyVector weight;
  const float* rstd;
  bf16* dx;
  int64_t rows, x_stride, dy_stride, dx_stride;
  int cols;
  bool accumulate;
};

// Parameters of the general instances only, passed separately: with a larger struct the compiler
// loads each field where it is used, in more registers.
struct General {
  AnyVector bias;
  int64_t weight_stride, bias_stride;  // between turns
  float* mean;
  int turns;
  float offset;
  bool centered;

  __device__ __forceinline__ int turn(int64_t row) const {
    return static_cast<int>(static_cast<uint32_t>(row) % turns);
  }
  __device__ __forceinline__ float weight(const AnyVector& w, int turn, int col) const {
    return (w.data != nullptr ? w.one(turn * weight_stride + col) : 1) + offset;
  }
};

// Returns eight of a row's weights, without an offset in the plain instances.
template <bool kGeneral>
__device__ __forceinline__ Eight weights(const AnyVector& w, const General& g, int turn, int col) {
  if constexpr (!kGeneral) return w.eight(col);
  Eight e = {{1, 1, 1, 1, 1, 1, 1, 1}};
  if (w.data != nullptr) e = w.eight(turn * g.weight_stride + col);
#pragma unroll
  for (int i = 0; i < kEight; i++) e.x[i] += g.offset;
  return e;
}

// Returns the sum over the lanes that share a row; a block's n-th sum uses the n-th part of shared
// memory.
template <int kLanes>
__device__ __forceinline__ float row_sum(float x, int n) {
  if constexpr (kLanes <= 32) {
    return lanes_sum<kLanes>(x);
  } else {
    return block_sum<kWarps>(x, shared_memory<float>() + n * kWarps);
  }
}

template <int kLanes, int kVectors, bool kGeneral>
__global__ void __launch_bounds__(kThreads) norm_rows(Norm n, General general) {
  const int lane = threadIdx.x % kLanes;
  const int64_t row = int64_t{blockIdx.x} * (kThreads / kLanes) + threadIdx.x / kLanes;
  const bool mine = row < n.rows;  // lanes without a row still take part in the sum
  const bf16* x = n.x + row * n.x_stride;
  uint4 kept[kVectors] = {};
  float sum = 0, mean = 0;
#pragma unroll
  for (int v = 0; v < kVectors; v++) {
    int col = (v * kLanes + lane) * kEight;
    kept[v] = mine && col < n.cols ? ptx::load128(x + col) : make_uint4(0, 0, 0, 0);
  }
  if (kGeneral && general.centered) {
#pragma unroll
    for (int v = 0; v < kVectors; v++) {
      Eight e = widen(kept[v]);
#pragma unroll
      for (int i = 0; i < kEight; i++) sum += e.x[i];
    }
    mean = row_sum<kLanes>(sum, 1) / static_cast<float>(n.cols);
    sum = 0;
  }
#pragma unroll
  for (int v = 0; v < kVectors; v++) {
    if (kGeneral && (v * kLanes + lane) * kEight >= n.cols) break;  // 0 less the mean is not 0
    Eight e = widen(kept[v]);
#pragma unroll
    for (int i = 0; i < kEight; i++) sum += (e.x[i] - mean) * (e.x[i] - mean);
  }
  float r = ptx::rsqrt(row_sum<kLanes>(sum, 0) / static_cast<float>(n.cols) + n.eps);
  if (!mine) return;
  if (lane == 0 && n.rstd != nullptr) n.rstd[row] = r;
  if (kGeneral && lane == 0 && general.mean != nullptr) general.mean[row] = mean;
  const int turn = kGeneral ? general.turn(row) : 0;
  bf16* y = n.y + row * n.y_stride;
#pragma unroll
  for (int v = 0; v < kVectors; v++) {
    int col = (v * kLanes + lane) * kEight;
    if (col >= n.cols) break;
    Eight e = widen(kept[v]), w = weights<kGeneral>(n.weight, general, turn, col);
    if constexpr (kGeneral) {
      Eight b = {};
      if (general.bias.data != nullptr) b = general.bias.eight(turn * general.bias_stride + col);
#pragma unroll
      for (int i = 0; i < kEight; i++) e.x[i] = (e.x[i] - mean) * (r * w.x[i]) + b.x[i];
    } else {
#pragma unroll
      for (int i = 0; i < kEight; i++) e.x[i] *= r * w.x[i];
    }
    store8(y + col, e);
  }
}

__global__ void __launch_bounds__(kThreads) norm_elements(Norm n, General general) {
  const bf16* x = n.x + int64_t{blockIdx.x} * n.x_stride;
  bf16* y = n.y + int64_t{blockIdx.x} * n.y_stride;
  const int turn = general.turn(blockIdx.x);
  float sum = 0, mean = 0;
  if (general.centered) {
    for (int j = threadIdx.x; j < n.cols; j += kThreads) sum += ptx::to_float(x[j]);
    mean = row_sum<kThreads>(sum, 1) / static_cast<float>(n.cols);
    sum = 0;
  }
  for (int j = threadIdx.x; j < n.cols; j += kThreads) {
    float v = ptx::to_float(x[j]) - mean;
    sum += v * v;
  }
  float r = ptx::rsqrt(row_sum<kThreads>(sum, 0) / static_cast<float>(n.cols) + n.eps);
  if (threadIdx.x == 0 && n.rstd != nullptr) n.rstd[blockIdx.x] = r;
  if (threadIdx.x == 0 && general.mean != nullptr) general.mean[blockIdx.x] = mean;
  for (int j = threadIdx.x; j < n.cols; j += kThreads) {
    float v = (ptx::to_float(x[j]) - mean) * (r * general.weight(n.weight, turn, j));
    if (general.bias.data != nullptr) v += general.bias.one(turn * general.bias_stride + j);
    y[j] = ptx::from_float<bf16>(v);
  }
}

template <int kLanes, int kVectors, bool kGeneral>
__global__ void __launch_bounds__(kThreads) norm_backward_rows(NormBackward n, General general) {
  const int lane = threadIdx.x % kLanes;
  const int64_t row = int64_t{blockIdx.x} * (kThreads / kLanes) + threadIdx.x / kLanes;
  const bool mine = row < n.rows, centered = kGeneral && general.centered;
  const int turn = kGeneral ? general.turn(row) : 0;
  const float mean = centered && mine ? general.mean[row] : 0;
  uint4 x[kVectors] = {}, dy[kVectors] = {};
  float sum = 0, sum_g = 0;
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
    Eight e = widen(x[v]), g = widen(dy[v]), w = weights<kGeneral>(n.weight, general, turn, col);
#pragma unroll
    for (int i = 0; i < kEight; i++) {
      sum += g.x[i] * w.x[i] * (e.x[i] - mean);
      if (kGeneral) sum_g += g.x[i] * w.x[i];
    }
  }
  sum = row_sum<kLanes>(sum, 0);
  if (centered) sum_g = row_sum<kLanes>(sum_g, 1);
  if (!mine) return;
  float r = n.rstd[row], c = sum / static_cast<float>(n.cols) * r * r;
  float mean_g = centered ? sum_g / static_cast<float>(n.cols) : 0;
  bf16* dx = n.dx + row * n.dx_stride;
#pragma unroll
  for (int v = 0; v < kVectors; v++) {
    int col = (v * kLanes + lane) * kEight;
    if (col >= n.cols) break;
    Eight e = widen(x[v]), g = widen(dy[v]), w = weights<kGeneral>(n.weight, general, turn, col),
          to = {};
    if (n.accumulate) to = load8(dx + col);
#pragma unroll
    for (int i = 0; i < kEight; i++) {
      to.x[i] += r * (g.x[i] * w.x[i] - (e.x[i] - mean) * c - mean_g);
    }
    store8(dx + col, to);
  }
}

__global__ void __launch_bounds__(kThreads)
    norm_backward_elements(NormBackward n, General general) {
  const int64_t row = blockIdx.x;
  const bf16 *x = n.x + row * n.x_stride, *dy = n.dy + row * n.dy_stride;
  const int turn = general.turn(row);
  const float mean = general.centered ? general.mean[row] : 0;
  bf16* dx = n.dx + row * n.dx_stride;
  float sum = 0, sum_g = 0;
  for (int j = threadIdx.x; j < n.cols; j += kThreads) {
    float g = ptx::to_float(dy[j]) * general.weight(n.weight, turn, j);
    sum += g * (ptx::to_float(x[j]) - mean);
    sum_g += g;
  }
  sum = row_sum<kThreads>(sum, 0);
  if (general.centered) sum_g = row_sum<kThreads>(sum_g, 1);
  float r = n.rstd[row], c = sum / static_cast<float>(n.cols) * r * r;
  float mean_g = general.centered ? sum_g / static_cast<float>(n.cols) : 0;
  for (int j = threadIdx.x; j < n.cols; j += kThreads) {
    float g = ptx::to_float(dy[j]) * general.weight(n.weight, turn, j);
    float to = r * (g - (ptx::to_float(x[j]) - mean) * c - mean_g);
    if (n.accumulate) to += ptx::to_float(dx[j]);
    dx[j] = ptx::from_float<bf16>(to);
  }
}

// The instances by maximum row width; [1] are the general ones.
struct Instance {
  int cols, lanes;
  const char *forward_name[2], *backward_name[2];
  void (*forward[2])(Norm, General);
  void (*backward[2])(NormBackward, General);
};

#define NORM_INSTANCE(lanes, vectors)                                                         \
  {                                                                                           \
    lanes * vectors * kEight, lanes,                                                          \
        {"norm_" #lanes "x" #vectors, "norm_general_" #lanes "x" #vectors},                   \
        {"norm_backward_" #lanes "x" #vectors, "norm_backward_general_" #lanes "x" #vectors}, \
        {norm_rows<lanes, vectors, false>, norm_rows<lanes, vectors, true>}, {                \
      norm_backward_rows<lanes, vectors, false>, norm_backward_rows<lanes, vectors, true>     \
    }                                                                                         \
  }
#define REGISTER_NORM(lanes, vectors)                                                 \
  REGISTER_INSTANCE(norm_##lanes##x##vectors, kThreads, kShared,                      \
                    norm_rows<lanes, vectors, false>);                                \
  REGISTER_INSTANCE(norm_general_##lanes##x##vectors, kThreads, 2 * kShared,          \
                    norm_rows<lanes, vectors, true>);                                 \
  REGISTER_INSTANCE(norm_backward_##lanes##x##vectors, kThreads, kShared,             \
                    norm_backward_rows<lanes, vectors, false>);                       \
  REGISTER_INSTANCE(norm_backward_general_##lanes##x##vectors, kThreads, 2 * kShared, \
                    norm_backward_rows<lanes, vectors, true>)

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
REGISTER_KERNEL(norm_elements, kThreads, 2 * kShared);
REGISTER_KERNEL(norm_backward_elements, kThreads, 2 * kShared);

// Returns the narrowest instance for rows of so many columns, or nullptr.
const Instance* instance(int64_t cols) {
  for (const Instance& i : kInstances) {
    if (cols <= i.cols) return &i;
  }
  return nullptr;
}

dim3 grid_of(const Instance& i, int64_t rows) {
  return dim3(static_cast<uint32_t>(ceil_div(rows, kThreads / i.lanes)));
}

General general_of(const qlora_tensor& weight, const qlora_tensor& bias, const qlora_tensor& mean,
                   float offset, bool centered) {
  return {any(bias),
          weight.stride,
          bias.stride,
          static_cast<float*>(mean.data),
          static_cast<int>(max(int64_t{1}, max(weight.rows, bias.rows))),
          offset,
          centered};
}

bool is_plain(const qlora_tensor& weight, float offset) {
  return weight.data != nullptr && weight.rows == 1 && offset == 0;
}

bool aligned(const qlora_tensor& t) { return t.data == nullptr || eights(t); }

}  // namespace

int norm(qlora_context* c, const qlora_norm* op) {
  if (op->x.rows * op->x.cols == 0) return QLORA_OK;
  Norm n{static_cast<const bf16*>(op->x.data),
         any(op->weight),
         static_cast<bf16*>(op->y.data),
         static_cast<float*>(op->rstd.data),
         op->x.rows,
         op->x.stride,
         op->y.stride,
         static_cast<int>(op->x.cols),
         op->eps};
  const General g = general_of(op->weight, op->bias, op->mean, op->offset, op->centered != 0);
  const Instance* i = prefers(c, "elements") ? nullptr : instance(op->x.cols);
  if (i != nullptr && eights(op->x) && eights(op->y) && aligned(op->weight) && aligned(op->bias)) {
    const int general = prefers(c, "general") || g.centered || op->bias.data != nullptr ||
                        !is_plain(op->weight, op->offset);
    return launch(c, i->forward_name[general], i->forward[general], grid_of(*i, n.rows),
                  dim3(kThreads), (1 + general) * kShared, n, g);
  }
  return launch(c, "norm_elements", norm_elements, dim3(static_cast<uint32_t>(n.rows)),
                dim3(kThreads), 2 * kShared, n, g);
}

int norm_backward(qlora_context* c, const qlora_norm_backward* op) {
  if (op->x.rows * op->x.cols == 0) return QLORA_OK;
  const auto *mean = static_cast<const float*>(op->mean.data),
             *rstd = static_cast<const float*>(op->rstd.data);
  if (op->dweight.data != nullptr) {  // first, because dx may overlap dy
    ColumnSums sums{op->dy, op->x,       rstd,          mean,
                    {},     op->dweight, op->workspace, static_cast<int>(op->dweight.rows)};
    int status = column_sums(c, sums);
    if (status != QLORA_OK) return status;
  }
  if (op->dbias.data != nullptr) {
    ColumnSums sums{op->dy, {},        nullptr,       nullptr,
                    {},     op->dbias, op->workspace, static_cast<int>(op->dbias.rows)};
    int status = column_sums(c, sums);
    if (status != QLORA_OK) return status;
  }
  NormBackward n{static_cast<const bf16*>(op->x.data),
                 static_cast<const bf16*>(op->dy.data),
                 any(op->weight),
                 rstd,
                 static_cast<bf16*>(op->dx.data),
                 op->x.rows,
                 op->x.stride,
                 op->dy.stride,
                 op->dx.stride,
                 static_cast<int>(op->x.cols),
                 op->accumulate != 0};
  const General g = general_of(op->weight, {}, op->mean, op->offset, mean != nullptr);
  const Instance* i = prefers(c, "elements") ? nullptr : instance(op->x.cols);
  if (i != nullptr && eights(op->x) && eights(op->dy) && eights(op->dx) && aligned(op->weight)) {
    const int general =
        prefers(c, "general") || mean != nullptr || !is_plain(op->weight, op->offset);
    return launch(c, i->backward_name[general], i->backward[general], grid_of(*i, n.rows),
                  dim3(kThreads), (1 + general) * kShared, n, g);
  }
  return launch(c, "norm_backward_elements", norm_backward_elements,
                dim3(static_cast<uint32_t>(n.rows)), dim3(kThreads), 2 * kShared, n, g);
}
