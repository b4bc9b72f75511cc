// Two sums for attention's gradients:
//
//   delta[token·heads + head] = sum over a head's dimensions of dO·O
//   dsinks[head] -= sum over tokens of exp(sinks[head] - LSE)·delta
//
// What is stored is -delta, with which the sums of dO·Vᵀ begin.
//
// dO and O are BF16 [tokens, heads·head_dim], the others F32. Up to 32 lanes with 8 elements each
// sum a head's delta: 4 bytes per element, memory-bound. One block per sink sums each thread's
// tokens in order and then the threads as a tree: 8 bytes per token and head.
#include "kernels/attend_sums.h"
#include "kernels/reduce.cuh"

namespace attention {
namespace {

constexpr int kDeltaThreads = 256;

// Computes -delta of row = token·heads + head with `lanes` lanes of 8 elements each.
__global__ void __launch_bounds__(kDeltaThreads)
    attend_backward_delta(Problem p, Rows d_o, Rows o, float* minus_delta, int64_t rows,
                          int32_t lanes) {
  int64_t row = (int64_t{blockIdx.x} * kDeltaThreads + threadIdx.x) / lanes;
  const int lane = static_cast<int>(threadIdx.x) % lanes;
  float sum = 0;
  if (row < rows) {
    int token = static_cast<int>(row / p.heads);
    int column = static_cast<int>(row % p.heads) * p.head_dim + 8 * lane;
    const bf16 *x = d_o.at(token, column), *y = o.at(token, column);
    int elements = min(8, p.head_dim - 8 * lane);
    if (p.by16 && elements > 0) {
      uint4 a = ptx::load128(x), b = ptx::load128(y);
      sum = ptx::low(a.x) * ptx::low(b.x) + ptx::high(a.x) * ptx::high(b.x) +
            ptx::low(a.y) * ptx::low(b.y) + ptx::high(a.y) * ptx::high(b.y) +
            ptx::low(a.z) * ptx::low(b.z) + ptx::high(a.z) * ptx::high(b.z) +
            ptx::low(a.w) * ptx::low(b.w) + ptx::high(a.w) * ptx::high(b.w);
    } else {
      for (int i = 0; i < elements; i++) sum += ptx::to_float(x[i]) * ptx::to_float(y[i]);
    }
  }
  for (int bits = lanes / 2; bits > 0; bits /= 2) sum += __shfl_xor_sync(0xffffffff, sum, bits);
  if (row < rows && lane == 0) minus_delta[row] = -sum;
}
REGISTER_KERNEL(attend_backward_delta, kDeltaThreads, 0);

constexpr int kSinkThreads = 256;
constexpr int kSinkWarps = kSinkThreads / 32;

// Block h computes dsinks[h]: each thread's tokens in order, then the threads as a tree.
__global__ void __launch_bounds__(kSinkThreads)
    attend_backward_sinks(const float* sinks, const float* lse, int32_t lse_stride,
                          const float* minus_delta, float* dsinks, int64_t tokens, int32_t heads) {
  const int head = blockIdx.x;
  const float sink = sinks[head];
  float sum = 0;
  for (int64_t t = threadIdx.x; t < tokens; t += kSinkThreads) {
    sum += ptx::exp2((sink - lse[t * lse_stride + head]) * kLog2E) * minus_delta[t * heads + head];
  }
  sum = block_sum<kSinkWarps>(sum, shared_memory<float>());
  if (threadIdx.x == 0) dsinks[head] += sum;
}
REGISTER_KERNEL(attend_backward_sinks, kSinkThreads, kSinkWarps * sizeof(float));

}  // namespace

int delta_sums(qlora_context* c, const Problem& p, const Rows& d_o, const Rows& o, int64_t rows,
               float* minus_delta) {
  int lanes = 1;
  while (8 * lanes < p.head_dim) lanes *= 2;
  int64_t blocks = (rows * lanes + kDeltaThreads - 1) / kDeltaThreads;
  return launch(c, "attend_backward_delta", attend_backward_delta,
                dim3(static_cast<uint32_t>(blocks)), dim3(kDeltaThreads), 0, p, d_o, o, minus_delta,
                rows, lanes);
}

int sink_gradients(qlora_context* c, const Problem& p, const qlora_attend& forward,
                   const float* minus_delta, float* dsinks) {
  return launch(c, "attend_backward_sinks", attend_backward_sinks, dim3(p.heads),
                dim3(kSinkThreads), kSinkWarps * sizeof(float), p.sinks,
                static_cast<const float*>(forward.lse.data), forward.lse.stride, minus_delta,
                dsinks, forward.q.rows, p.heads);
}

}  // namespace attention
