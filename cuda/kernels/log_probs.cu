// The log-probability of each sequence, out[s] = -sum(share·losses) over its tokens.
//
// One block per sequence, which sums each thread's tokens in order, then threads as a tree: the
// bits depend only on the sequence's length. 8 bytes per token cost nothing next to the launch.
#include "kernels/entries.h"
#include "kernels/reduce.cuh"
#include "runtime/launch.h"

namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
constexpr int kShared = kWarps * sizeof(float);

__global__ void __launch_bounds__(kThreads)
    sum_log_probs(const float* losses, const float* share, const int32_t* starts, float* out) {
  const int end = starts[blockIdx.x + 1];
  float sum = 0;
  for (int t = starts[blockIdx.x] + static_cast<int>(threadIdx.x); t < end; t += kThreads) {
    sum += share[t] * losses[t];
  }
  sum = block_sum<kWarps>(sum, shared_memory<float>());
  if (threadIdx.x == 0) out[blockIdx.x] = -sum;
}
REGISTER_KERNEL(sum_log_probs, kThreads, kShared);

}  // namespace

int log_probs(qlora_context* c, const qlora_log_probs* op) {
  const int64_t sequences = op->out.rows * op->out.cols;
  if (sequences == 0) return QLORA_OK;
  return launch(c, "sum_log_probs", sum_log_probs, dim3(static_cast<uint32_t>(sequences)),
                dim3(kThreads), kShared, static_cast<const float*>(op->losses.data),
                static_cast<const float*>(op->share.data),
                static_cast<const int32_t*>(op->starts.data), static_cast<float*>(op->out.data));
}
