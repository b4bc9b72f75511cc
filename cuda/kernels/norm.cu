// RMSNorm (Zhang & Sennrich 2019) and LayerNorm (Ba et al. 2016) of each row, forward and backward,
// in float32. mean is the row's if the norm is centered, else 0; w = weight + offset:
//
//   rstd = 1/sqrt(mean((x-mean)²) + eps)     y = (x-mean)·rstd·w + bias
//   dx (+)= rstd·(g - n·mean(g·n) - mean(g))   with g = dy·w, n = (x-mean)·rstd; the last if centered
//   dweight += sum over rows of dy·n     dbias += sum over rows of dy     (sum_rows.cu)
//
// Without rstd, backward computes the statistics from x again, and it can write y again, over dy if
// wanted: an x that was not kept is then read once for both.
//
// x, y, dy, dx are BF16 [rows, cols], the weight and the bias F32, BF16 or F16 [turns, cols], used
// by rows in turn; absent ones are 1 and 0. A group of kLanes lanes handles a row, kVectors times 8
// elements each, and keeps it in registers between the sum and the output: a norm of heads of 128
// takes 16 lanes, 2 rows per warp; a row of 4096 takes a block of 256 threads. So y may be x, and
// dx dy. Rows wider than 16,384 or not aligned are processed one element at a time and read again
// for each sum. The plain instances are RMSNorm with one row of weights and no offset; the general
// ones add a mean, a bias, an offset, turns, or have no weight.
//
// Forward adds a residual if there is one; norm_heads.cu rotates what it writes, and norm_next.cu
// normalizes it again.
//
// Forward moves 4 bytes per element, backward 6 (8 accumulating, 2 more for y or a residual, 4 for dweight, 2 for dbias),
// for 4 to 11 operations: memory-bound.
#include "kernels/columns.h"
#include "kernels/entries.h"
#include "kernels/norm.cuh"

using namespace norms;

namespace {

struct NormBackward {
  const bf16 *x, *dy;
  AnyVector weight;
  const float* rstd;  // NULL: computed again
  bf16 *dx, *y;       // y is NULL unless it is computed again
  int64_t rows, x_stride, dy_stride, dx_stride, y_stride;
  int cols;
  float eps;
  bool accumulate;
};

template <int kLanes, int kVectors, bool kGeneral>
__global__ void __launch_bounds__(kThreads) norm_rows(Norm n, General general) {
  const int lane = threadIdx.x % kLanes;
  const int64_t row = int64_t{blockIdx.x} * (kThreads / kLanes) + threadIdx.x / kLanes;
  const bool mine = row < n.rows;  // lanes without a row still take part in the sum
  const bf16* x = n.x + row * n.x_stride;
  uint4 kept[kVectors] = {};
  float mean = 0;
#pragma unroll
  for (int v = 0; v < kVectors; v++) {
    int col = (v * kLanes + lane) * kEight;
    kept[v] = mine && col < n.cols ? ptx::load128(x + col) : make_uint4(0, 0, 0, 0);
  }
  if (kGeneral && general.centered) mean = row_mean<kLanes, kVectors>(kept, n.cols, kMeans);
  const float r = row_rstd<kLanes, kVectors, kGeneral>(kept, n.cols, mean, n.eps, kSquares);
  if (!mine) return;
  if (lane == 0 && n.rstd != nullptr) n.rstd[row] = r;
  if (kGeneral && lane == 0 && general.mean != nullptr) general.mean[row] = mean;
  const int turn = kGeneral ? general.turn(row) : 0;
  bf16* y = n.y + row * n.y_stride;
#pragma unroll
  for (int v = 0; v < kVectors; v++) {
    int col = (v * kLanes + lane) * kEight;
    if (col >= n.cols) break;
    const Eight w = weights<kGeneral>(n.weight, general, turn, col);
    Eight e = normalized<kGeneral>(widen(kept[v]), w, general, turn, col, mean, r);
    if (kGeneral && general.residual != nullptr) {
      const Eight added = load8(general.residual + row * general.residual_stride + col);
#pragma unroll
      for (int i = 0; i < kEight; i++) e.x[i] += added.x[i];
    }
    store8(y + col, e);
  }
}

// Returns mean and rstd of a row that a block reads element by element.
__device__ __forceinline__ float2 element_stats(const bf16* x, int cols, float eps, bool centered) {
  float sum = 0, mean = 0;
  if (centered) {
    for (int j = threadIdx.x; j < cols; j += kThreads) sum += ptx::to_float(x[j]);
    mean = row_sum<kThreads>(sum, kMeans) / static_cast<float>(cols);
    sum = 0;
  }
  for (int j = threadIdx.x; j < cols; j += kThreads) {
    float v = ptx::to_float(x[j]) - mean;
    sum += v * v;
  }
  float square = row_sum<kThreads>(sum, kSquares) / static_cast<float>(cols);
  return make_float2(mean, ptx::rsqrt(square + eps));
}

__global__ void __launch_bounds__(kThreads) norm_elements(Norm n, General general) {
  const bf16* x = n.x + int64_t{blockIdx.x} * n.x_stride;
  bf16* y = n.y + int64_t{blockIdx.x} * n.y_stride;
  const int turn = general.turn(blockIdx.x);
  const float2 stats = element_stats(x, n.cols, n.eps, general.centered);
  const float mean = stats.x, r = stats.y;
  if (threadIdx.x == 0 && n.rstd != nullptr) n.rstd[blockIdx.x] = r;
  if (threadIdx.x == 0 && general.mean != nullptr) general.mean[blockIdx.x] = mean;
  for (int j = threadIdx.x; j < n.cols; j += kThreads) {
    float v = general.normalized(ptx::to_float(x[j]), n.weight, turn, j, mean, r);
    if (general.residual != nullptr) {
      v += ptx::to_float(general.residual[int64_t{blockIdx.x} * general.residual_stride + j]);
    }
    y[j] = ptx::from_float<bf16>(v);
  }
}

template <int kLanes, int kVectors, bool kGeneral>
__global__ void __launch_bounds__(kThreads) norm_backward_rows(NormBackward n, General general) {
  const int lane = threadIdx.x % kLanes;
  const int64_t row = int64_t{blockIdx.x} * (kThreads / kLanes) + threadIdx.x / kLanes;
  const bool mine = row < n.rows, centered = kGeneral && general.centered;
  const int turn = kGeneral ? general.turn(row) : 0;
  const bool again = n.rstd == nullptr;
  float mean = centered && mine && !again ? general.mean[row] : 0;
  uint4 x[kVectors] = {}, dy[kVectors] = {};
  float sum = 0, sum_g = 0;
#pragma unroll
  for (int v = 0; v < kVectors; v++) {
    int col = (v * kLanes + lane) * kEight;
    bool there = mine && col < n.cols;
    x[v] = there ? ptx::load128(n.x + row * n.x_stride + col) : make_uint4(0, 0, 0, 0);
    dy[v] = there ? ptx::load128(n.dy + row * n.dy_stride + col) : make_uint4(0, 0, 0, 0);
  }
  float r = 0;
  if (again) {
    if (centered) mean = row_mean<kLanes, kVectors>(x, n.cols, kMeans);
    r = row_rstd<kLanes, kVectors, kGeneral>(x, n.cols, mean, n.eps, kSquares);
  } else if (mine) {
    r = n.rstd[row];
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
  sum = row_sum<kLanes>(sum, kProducts);
  if (centered) sum_g = row_sum<kLanes>(sum_g, kGradients);
  if (!mine) return;
  const float c = sum / static_cast<float>(n.cols) * r * r;
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
    if (n.y != nullptr) {
      store8(n.y + row * n.y_stride + col, normalized<kGeneral>(e, w, general, turn, col, mean, r));
    }
  }
}

__global__ void __launch_bounds__(kThreads)
    norm_backward_elements(NormBackward n, General general) {
  const int64_t row = blockIdx.x;
  const bf16 *x = n.x + row * n.x_stride, *dy = n.dy + row * n.dy_stride;
  const int turn = general.turn(row);
  float2 stats = make_float2(0, 0);
  if (n.rstd == nullptr) {
    stats = element_stats(x, n.cols, n.eps, general.centered);
  } else {
    stats = make_float2(general.centered ? general.mean[row] : 0, n.rstd[row]);
  }
  const float mean = stats.x, r = stats.y;
  bf16 *dx = n.dx + row * n.dx_stride, *y = n.y + row * n.y_stride;
  float sum = 0, sum_g = 0;
  for (int j = threadIdx.x; j < n.cols; j += kThreads) {
    float g = ptx::to_float(dy[j]) * general.weight(n.weight, turn, j);
    sum += g * (ptx::to_float(x[j]) - mean);
    sum_g += g;
  }
  sum = row_sum<kThreads>(sum, kProducts);
  if (general.centered) sum_g = row_sum<kThreads>(sum_g, kGradients);
  const float c = sum / static_cast<float>(n.cols) * r * r;
  float mean_g = general.centered ? sum_g / static_cast<float>(n.cols) : 0;
  for (int j = threadIdx.x; j < n.cols; j += kThreads) {
    float g = ptx::to_float(dy[j]) * general.weight(n.weight, turn, j);
    float to = r * (g - (ptx::to_float(x[j]) - mean) * c - mean_g);
    if (n.accumulate) to += ptx::to_float(dx[j]);
    const float again = general.normalized(ptx::to_float(x[j]), n.weight, turn, j, mean, r);
    dx[j] = ptx::from_float<bf16>(to);
    if (n.y != nullptr) y[j] = ptx::from_float<bf16>(again);
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
#define REGISTER_NORM(lanes, vectors)                                               \
  REGISTER_INSTANCE(norm_##lanes##x##vectors, kThreads, kForward,                   \
                    norm_rows<lanes, vectors, false>);                              \
  REGISTER_INSTANCE(norm_general_##lanes##x##vectors, kThreads, kForward,           \
                    norm_rows<lanes, vectors, true>);                               \
  REGISTER_INSTANCE(norm_backward_##lanes##x##vectors, kThreads, kBackward,         \
                    norm_backward_rows<lanes, vectors, false>);                     \
  REGISTER_INSTANCE(norm_backward_general_##lanes##x##vectors, kThreads, kBackward, \
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
REGISTER_KERNEL(norm_elements, kThreads, kForward);
REGISTER_KERNEL(norm_backward_elements, kThreads, kBackward);

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
  General g = general_of(op->weight, op->bias, op->mean, op->offset, op->centered != 0);
  g.residual = static_cast<const bf16*>(op->residual.data);
  g.residual_stride = op->residual.stride;
  if (op->angles.positions.data != nullptr) return norm_heads(c, op, n, g);
  if (op->next.y.data != nullptr) return norm_then_next(c, op, n, g);
  const Instance* i = prefers(c, "elements") ? nullptr : instance(op->x.cols);
  if (i != nullptr && eights(op->x) && eights(op->y) && aligned(op->weight) && aligned(op->bias) &&
      aligned(op->residual)) {
    const int general = prefers(c, "general") || g.centered || op->bias.data != nullptr ||
                        g.residual != nullptr || !is_plain(op->weight, op->offset);
    return launch(c, i->forward_name[general], i->forward[general], grid_of(*i, n.rows),
                  dim3(kThreads), kForward, n, g);
  }
  return launch(c, "norm_elements", norm_elements, dim3(static_cast<uint32_t>(n.rows)),
                dim3(kThreads), kForward, n, g);
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
                 static_cast<bf16*>(op->y.data),
                 op->x.rows,
                 op->x.stride,
                 op->dy.stride,
                 op->dx.stride,
                 op->y.stride,
                 static_cast<int>(op->x.cols),
                 op->eps,
                 op->accumulate != 0};
  const General g = general_of(op->weight, op->bias, op->mean, op->offset, op->centered != 0);
  const Instance* i = prefers(c, "elements") ? nullptr : instance(op->x.cols);
  if (i != nullptr && eights(op->x) && eights(op->dy) && eights(op->dx) && aligned(op->y) &&
      aligned(op->weight) && aligned(op->bias)) {
    const int general = prefers(c, "general") || g.centered || op->bias.data != nullptr ||
                        !is_plain(op->weight, op->offset);
    return launch(c, i->backward_name[general], i->backward[general], grid_of(*i, n.rows),
                  dim3(kThreads), kBackward, n, g);
  }
  return launch(c, "norm_backward_elements", norm_backward_elements,
                dim3(static_cast<uint32_t>(n.rows)), dim3(kThreads), kBackward, n, g);
}
