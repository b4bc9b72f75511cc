// Adds a micro-batch to the statistics of a step: stats += [scale·sum(weights·losses), labels that are not
// -100, sum(hits)], over weights, losses, hits and labels [1, tokens]; weights are optional. After a failed check it adds nothing.
//
// One block, which sums each thread's tokens in order, then threads as a tree: the bits depend only
// on the number of tokens. 12 bytes per token cost nothing next to the launch.
#include "kernels/entries.h"
#include "kernels/reduce.cuh"
#include "runtime/launch.h"

namespace {

constexpr int kThreads = 1024;
constexpr int kWarps = kThreads / 32;
constexpr int kShared = 3 * kWarps * sizeof(float);
constexpr int kIgnored = -100;

__global__ void __launch_bounds__(kThreads)
    add_loss_stats(const float* losses, const float* hits, const int32_t* labels,
                   const float* weights, const float* factor, float* stats, int tokens, float scale,
                   const Failure* failure) {
  if (failure->check != 0) return;
  float loss = 0, hit = 0, count = 0;
  for (int t = threadIdx.x; t < tokens; t += kThreads) {
    loss += weights ? weights[t] * losses[t] : losses[t];
    hit += hits[t];
    count += labels[t] != kIgnored ? 1.0f : 0.0f;
  }
  float* shared = shared_memory<float>();
  loss = block_sum<kWarps>(loss, shared);
  count = block_sum<kWarps>(count, shared + kWarps);
  hit = block_sum<kWarps>(hit, shared + 2 * kWarps);
  if (threadIdx.x == 0) {
    stats[0] += (factor ? scale * *factor : scale) * loss;
    stats[1] += count;
    stats[2] += hit;
  }
}
REGISTER_KERNEL(add_loss_stats, kThreads, kShared);

}  // namespace

int loss_stats(qlora_context* c, const qlora_loss_stats* op) {
  int64_t tokens = op->labels.rows * op->labels.cols;
  if (tokens == 0) return QLORA_OK;
  return launch(
      c, "add_loss_stats", add_loss_stats, dim3(1), dim3(kThreads), kShared,
      static_cast<const float*>(op->losses.data), static_cast<const float*>(op->hits.data),
      static_cast<const int32_t*>(op->labels.data), static_cast<const float*>(op->weights.data),
      static_cast<const float*>(op->factor.data), static_cast<float*>(op->stats.data), tokens,
      op->scale, failure(c));
}
