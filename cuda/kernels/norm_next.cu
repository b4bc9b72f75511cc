// A norm behind a branch, the residual, and the norm before the next branch, in one pass over a row:
// y = norm(x) + residual, z = next norm(y).
//
// y is rounded to BF16 before it is normalized, and sums are those of norm.cu: both outputs have the
// bits of two launches. A group of kLanes lanes keeps a row in registers from the first read to the
// last write. It moves 8 bytes per element (6 without a residual), where two launches move 10: memory-bound.
// Rows wider than 8,192 or not aligned take two launches.
#include "kernels/entries.h"
#include "kernels/norm.cuh"

namespace norms {
namespace {

// The second norm of a row; its bias and offset are in a General.
struct Next {
  AnyVector weight;
  bf16* y;
  int64_t stride;
  float eps;
};

template <int kLanes, int kVectors>
__global__ void __launch_bounds__(kThreads)
    norm_next(Norm n, General general, Next next, General of_next) {
  const int lane = threadIdx.x % kLanes;
  const int64_t row = int64_t{blockIdx.x} * (kThreads / kLanes) + threadIdx.x / kLanes;
  const bool mine = row < n.rows;  // lanes without a row still take part in the sums
  uint4 kept[kVectors] = {};
#pragma unroll
  for (int v = 0; v < kVectors; v++) {
    int col = (v * kLanes + lane) * kEight;
    if (mine && col < n.cols) kept[v] = ptx::load128(n.x + row * n.x_stride + col);
  }
  float mean = general.centered ? row_mean<kLanes, kVectors>(kept, n.cols, kMeans) : 0;
  float r = row_rstd<kLanes, kVectors, true>(kept, n.cols, mean, n.eps, kSquares);
  if (mine && lane == 0 && n.rstd != nullptr) n.rstd[row] = r;
  if (mine && lane == 0 && general.mean != nullptr) general.mean[row] = mean;
#pragma unroll
  for (int v = 0; v < kVectors; v++) {
    int col = (v * kLanes + lane) * kEight;
    if (!mine || col >= n.cols) break;
    const Eight w = weights<true>(n.weight, general, 0, col);
    Eight e = normalized<true>(widen(kept[v]), w, general, 0, col, mean, r);
    if (general.residual != nullptr) {
      const Eight added = load8(general.residual + row * general.residual_stride + col);
#pragma unroll
      for (int i = 0; i < kEight; i++) e.x[i] += added.x[i];
    }
    kept[v] = narrow(e);
    ptx::store128(n.y + row * n.y_stride + col, kept[v]);
  }
  mean = of_next.centered ? row_mean<kLanes, kVectors>(kept, n.cols, kGradients) : 0;
  r = row_rstd<kLanes, kVectors, true>(kept, n.cols, mean, next.eps, kProducts);
  if (!mine) return;
#pragma unroll
  for (int v = 0; v < kVectors; v++) {
    int col = (v * kLanes + lane) * kEight;
    if (col >= n.cols) break;
    const Eight w = weights<true>(next.weight, of_next, 0, col);
    store8(next.y + row * next.stride + col,
           normalized<true>(widen(kept[v]), w, of_next, 0, col, mean, r));
  }
}
REGISTER_INSTANCE(norm_next_32x4, kThreads, kBackward, norm_next<32, 4>);
REGISTER_INSTANCE(norm_next_256x1, kThreads, kBackward, norm_next<256, 1>);
REGISTER_INSTANCE(norm_next_256x2, kThreads, kBackward, norm_next<256, 2>);
REGISTER_INSTANCE(norm_next_256x4, kThreads, kBackward, norm_next<256, 4>);

template <int kLanes, int kVectors>
int launch_next(qlora_context* c, const char* name, const Norm& n, const General& g,
                const Next& next, const General& of_next) {
  const dim3 grid(static_cast<uint32_t>(ceil_div(n.rows, kThreads / kLanes)));
  return launch(c, name, norm_next<kLanes, kVectors>, grid, dim3(kThreads), kBackward, n, g, next,
                of_next);
}

}  // namespace

int norm_then_next(qlora_context* c, const qlora_norm* op, const Norm& n, const General& g) {
  const qlora_next_norm& then = op->next;
  if (n.cols <= 8192 && g.turns == 1 && !prefers(c, "elements") && eights(op->x) && eights(op->y) &&
      eights(then.y) && aligned(op->weight) && aligned(op->bias) && aligned(op->residual) &&
      aligned(then.weight) && aligned(then.bias)) {
    const Next next{any(then.weight), static_cast<bf16*>(then.y.data), then.y.stride, then.eps};
    const General of = general_of(then.weight, then.bias, {}, then.offset, then.centered != 0);
    if (n.cols <= 1024) return launch_next<32, 4>(c, "norm_next_32x4", n, g, next, of);
    if (n.cols <= 2048) return launch_next<256, 1>(c, "norm_next_256x1", n, g, next, of);
    if (n.cols <= 4096) return launch_next<256, 2>(c, "norm_next_256x2", n, g, next, of);
    return launch_next<256, 4>(c, "norm_next_256x4", n, g, next, of);
  }
  qlora_norm alone = *op;
  alone.next = {};
  const int status = norm(c, &alone);
  if (status != QLORA_OK) return status;
  qlora_norm second{};
  second.x = op->y;
  second.weight = then.weight;
  second.bias = then.bias;
  second.y = then.y;
  second.eps = then.eps;
  second.offset = then.offset;
  second.centered = then.centered;
  return norm(c, &second);
}

}  // namespace norms
