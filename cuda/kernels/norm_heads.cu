// Norms of heads, followed by their rotation (rope.cuh): y = rope(norm(x)), in one pass.
//
// Rows are heads, `heads` of each token one after the other. kLanes lanes share a row, 8 elements
// each; a lane gets the elements half a head away by a shuffle. y is rounded to BF16 before the
// rotation, as if two kernels ran: the gradient of the norm reads the same. It moves 4 bytes per
// element: memory-bound. Heads wider than 256 or not aligned take a launch of each kernel.
#include "kernels/entries.h"
#include "kernels/norm.cuh"
#include "kernels/rope.cuh"

namespace norms {
namespace {

template <int kLanes>
__global__ void __launch_bounds__(kThreads)
    norm_rope(Norm n, General general, Angles angles, int heads) {
  const int lane = threadIdx.x % kLanes, col = lane * kEight;
  const int64_t row = int64_t{blockIdx.x} * (kThreads / kLanes) + threadIdx.x / kLanes;
  const bool mine = row < n.rows, in = mine && col < n.cols;  // every lane takes part in shuffles
  uint4 x[1] = {};
  if (in) x[0] = ptx::load128(n.x + row * n.x_stride + col);
  const float mean = general.centered ? row_mean<kLanes, 1>(x, n.cols, kMeans) : 0;
  const float r = row_rstd<kLanes, 1, true>(x, n.cols, mean, n.eps, kSquares);
  uint4 y = {};
  if (in) {
    const int turn = general.turn(row);
    const Eight w = weights<true>(n.weight, general, turn, col);
    y = narrow(normalized<true>(widen(x[0]), w, general, turn, col, mean, r));
  }
  const int half = angles.half, away = half / kEight;
  const int from = col < half ? lane + away : lane - away;  // not used if interleaved
  uint4 other;
  other.x = __shfl_sync(0xffffffffu, y.x, from, kLanes);
  other.y = __shfl_sync(0xffffffffu, y.y, from, kLanes);
  other.z = __shfl_sync(0xffffffffu, y.z, from, kLanes);
  other.w = __shfl_sync(0xffffffffu, y.w, from, kLanes);
  if (!in) return;
  if (lane == 0 && n.rstd != nullptr) n.rstd[row] = r;
  if (lane == 0 && general.mean != nullptr) general.mean[row] = mean;
  if (col < 2 * half && angles.valid()) {
    y = narrow(angles.turned(row / heads, col, widen(y), widen(other)));
  }
  ptx::store128(n.y + row * n.y_stride + col, y);
}
REGISTER_INSTANCE(norm_rope_8, kThreads, 0, norm_rope<8>);
REGISTER_INSTANCE(norm_rope_16, kThreads, 0, norm_rope<16>);
REGISTER_INSTANCE(norm_rope_32, kThreads, 0, norm_rope<32>);

template <int kLanes>
int launch_rope(qlora_context* c, const char* name, const Norm& n, const General& g,
                const Angles& angles, int heads) {
  const dim3 grid(static_cast<uint32_t>(ceil_div(n.rows, kThreads / kLanes)));
  return launch(c, name, norm_rope<kLanes>, grid, dim3(kThreads), 0, n, g, angles, heads);
}

}  // namespace

int norm_heads(qlora_context* c, const qlora_norm* op, const Norm& n, const General& g) {
  if (n.cols <= 256 && !prefers(c, "elements") && eights(op->x) && eights(op->y) &&
      aligned(op->weight) && aligned(op->bias) && in_eights(op->angles)) {
    const Angles angles = angles_of(c, op->angles, false);
    if (n.cols <= 64) return launch_rope<8>(c, "norm_rope_8", n, g, angles, op->heads);
    if (n.cols <= 128) return launch_rope<16>(c, "norm_rope_16", n, g, angles, op->heads);
    return launch_rope<32>(c, "norm_rope_32", n, g, angles, op->heads);
  }
  qlora_norm alone = *op;
  alone.angles = {};
  const int status = norm(c, &alone);
  if (status != QLORA_OK) return status;
  qlora_rope after{op->y, {}, op->heads, 0, n.cols, op->angles, 0};
  after.x.rows /= op->heads;
  after.x.cols *= op->heads;
  after.x.stride *= op->heads;
  return rope(c, &after);
}

}  // namespace norms
