// The loss of a micro-batch of sampled completions with advantages, and the weights of its tokens'
// losses in the gradient. bindings.Policy and bindings.PolicyLoss have the formulas.
//
// One block: a micro-batch has a few dozen completions and a few thousand tokens, 20 bytes each. A
// warp takes sequences in order, its lanes the sequence's tokens, and sums are joined as a tree,
// so the bits depend only on the numbers of sequences and tokens. A quantile of entropies is found
// bit by bit: 31 passes over the tokens for each of the two entropies that it lies between.
#include "kernels/entries.h"
#include "kernels/reduce.cuh"
#include "runtime/launch.h"

namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
// What is joined over warps: the sums, then the least and the most.
enum { kLoss, kKL, kEntropy, kScored, kCounted, kLow, kHigh, kPhi, kLeast, kMost, kJoined };
constexpr int kShared = kJoined * kWarps * sizeof(float);
constexpr float kNone = 2;  // more than any share of clipped ratios

struct Sampled {
  int loss;
  bool of_sequences, kl_by_ratio;
  float beta, low, high, delta, least, far, scale, temperature[2], power[2], decay[2];
  const float *losses, *old, *reference, *entropies, *share, *advantages;
  float *weights, *stats;
  const int32_t* starts;
  int sequences;
};

// A token's loss and its derivatives: by the ratio, and by the log-probability p where that is a
// factor of its own.
struct Terms {
  float loss, by_ratio, direct;
};

__device__ __forceinline__ float logistic(float x) { return 1 / (1 + expf(-x)); }

// By how much the log-probability of token t has moved since it was sampled.
__device__ __forceinline__ float moved(const Sampled& e, int t) {
  return e.old ? e.old[t] - e.losses[t] : 0;
}

__device__ Terms terms(const Sampled& e, float ratio, float p, float advantage, float phi) {
  switch (e.loss) {
    case QLORA_POLICY_CISPO: {
      const float weight = fminf(ratio, e.high) * advantage;
      return {-weight * p, 0, -weight};
    }
    case QLORA_POLICY_SAPO: {
      const float tau = advantage > 0 ? e.temperature[0] : e.temperature[1], x = tau * (ratio - 1);
      return {-4 / tau * logistic(x) * advantage, -4 * logistic(x) * logistic(-x) * advantage, 0};
    }
    case QLORA_POLICY_VESPO:
      return {-phi * advantage * p, 0, -phi * advantage};
  }
  const bool beyond = e.delta > 0 && ratio > e.delta;
  const float most = beyond ? e.delta : ratio, slope = beyond ? 0 : advantage;
  const float lower = 1 - e.low, upper = 1 + e.high;
  const float clamped = fminf(fmaxf(ratio, lower), upper);
  const float clamped_slope = ratio < lower || ratio > upper ? 0 : advantage;
  const float a = most * advantage, b = clamped * advantage;
  if (a < b) return {-a, -slope, 0};
  if (b < a) return {-b, -clamped_slope, 0};
  return {-a, -(slope + clamped_slope) / 2, 0};  // each side of a minimum has half its gradient
}

// Whether a ratio is clipped from below and from above.
__device__ __forceinline__ void add_clipped(const Sampled& e, float ratio, float advantage,
                                            float* low, float* high) {
  if (e.loss == QLORA_POLICY_CLIP) {
    if (e.delta > 0) ratio = fminf(ratio, e.delta);
    *low += ratio < 1 - e.low && advantage < 0 ? 1.0f : 0.0f;
    *high += ratio > 1 + e.high && advantage > 0 ? 1.0f : 0.0f;
  } else if (e.loss == QLORA_POLICY_CISPO) {
    *high += ratio > e.high && advantage > 0 ? 1.0f : 0.0f;
  }
}

// Returns how many tokens with a share have an entropy whose bits are below a number.
__device__ __forceinline__ float count_below(const Sampled& e, uint32_t bits, float* shared) {
  float n = 0;
  for (int t = threadIdx.x; t < e.starts[e.sequences]; t += kThreads) {
    n += e.share[t] != 0 && __float_as_uint(e.entropies[t]) < bits ? 1.0f : 0.0f;
  }
  n = block_sum<kWarps>(n, shared);
  __syncthreads();
  return n;
}

// Returns the k-th entropy of tokens with a share, from 0: the largest number below which there are
// up to k. None is negative, so their bits have their order.
__device__ __forceinline__ float entropy_at(const Sampled& e, float k, float* shared) {
  uint32_t bits = 0;
  for (int i = 30; i >= 0; i--) {
    const uint32_t next = bits | 1u << i;
    if (count_below(e, next, shared) <= k) bits = next;
  }
  return __uint_as_float(bits);
}

// Returns the `least` quantile of the entropies of tokens with a share.
__device__ __forceinline__ float entropy_quantile(const Sampled& e, float* shared) {
  const float n = count_below(e, UINT32_MAX, shared);
  if (n == 0) return 0;
  const float place = __fmul_rn(e.least, n - 1), below = floorf(place), w = place - below;
  const float a = entropy_at(e, below, shared);
  const float b = entropy_at(e, fminf(below + 1, n - 1), shared);
  return w < 0.5f ? a + w * (b - a) : b - (b - a) * (1 - w);
}

__global__ void __launch_bounds__(kThreads, 1) policy_gradient(Sampled e) {
  float* shared = shared_memory<float>();
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  float sum[kLeast] = {};
  float least = kNone, most = -kNone;
  const float least_entropy = e.least > 0 ? entropy_quantile(e, shared) : 0;
  for (int s = warp; s < e.sequences; s += kWarps) {
    const int from = e.starts[s], to = e.starts[s + 1];
    const float advantage = e.advantages[s];
    float n = 0, mean = 0, product = 0;
    for (int t = from + lane; t < to; t += 32) {
      if (e.share[t] == 0) continue;
      const float m = moved(e, t);
      n += 1;
      mean += m;
      product += fminf(fmaxf(m, -20), 20);
    }
    n = lanes_sum<32>(n);
    mean = lanes_sum<32>(mean) / fmaxf(1, n);
    const bool far = e.far > 0 && advantage < 0 && -mean > e.far;
    float phi = 0;
    if (e.loss == QLORA_POLICY_VESPO) {
      const bool positive = advantage >= 0;
      const float d = fmaxf(1e-4f, positive ? e.decay[0] : e.decay[1]);
      const float w = fminf(fmaxf(lanes_sum<32>(product), -18.420680744f), 20);  // ln 1e-8
      phi = expf(d + (positive ? e.power[0] : e.power[1]) * w - d * expf(w));
    }
    float low = 0, high = 0, slope = 0;
    for (int t = from + lane; t < to; t += 32) {
      const float share = e.share[t];
      if (share == 0) {
        if (e.weights) e.weights[t] = 0;
        continue;
      }
      const float ratio = expf(e.of_sequences ? mean : moved(e, t));
      if (!e.of_sequences) add_clipped(e, ratio, advantage, &low, &high);
      Terms v = terms(e, ratio, -e.losses[t], advantage, phi);
      if (far || (e.least > 0 && e.entropies[t] < least_entropy)) v = {0, 0, 0};
      if (e.entropies) sum[kEntropy] += e.entropies[t];
      if (e.reference) {
        const float d = e.losses[t] - e.reference[t], kl = expm1f(d) - d;
        const float factor = e.kl_by_ratio ? ratio : 1;
        if (e.kl_by_ratio) v.by_ratio += e.beta * kl;
        v.loss += e.beta * kl * factor;
        v.direct -= e.beta * factor * expm1f(d);
        sum[kKL] += kl * factor;
      }
      sum[kLoss] += share * v.loss;
      float dp = share * v.direct;
      if (e.of_sequences) {
        slope += share * v.by_ratio * ratio;
      } else {
        dp += share * v.by_ratio * ratio;
      }
      if (e.weights) e.weights[t] = -e.scale * dp;
    }
    if (e.of_sequences && e.weights) {
      slope = lanes_sum<32>(slope);
      for (int t = from + lane; t < to; t += 32) {
        if (e.share[t] != 0) e.weights[t] -= e.scale * slope / n;
      }
    }
    low = lanes_sum<32>(low);
    high = lanes_sum<32>(high);
    float ratios = n;
    if (e.of_sequences) {
      low = high = 0;
      add_clipped(e, expf(mean), advantage, &low, &high);
      ratios = 1;
    }
    if (ratios > 0) {
      least = fminf(least, low / ratios);
      most = fmaxf(most, high / ratios);
    }
    if (lane == 0) {
      sum[kScored] += n;
      sum[kCounted] += ratios;
      sum[kLow] += low;
      sum[kHigh] += high;
      sum[kPhi] += phi;
    }
  }
#pragma unroll
  for (int i = 0; i < kLeast; i++) sum[i] = block_sum<kWarps>(sum[i], shared + i * kWarps);
  if (lane == 0) {
    shared[kLeast * kWarps + warp] = least;
    shared[kMost * kWarps + warp] = most;
  }
  __syncthreads();
  if (thread != 0) return;
  for (int w = 1; w < kWarps; w++) {
    least = fminf(least, shared[kLeast * kWarps + w]);
    most = fmaxf(most, shared[kMost * kWarps + w]);
  }
  e.stats[QLORA_POLICY_STAT_ENTROPY] += sum[kEntropy] / fmaxf(1, sum[kScored]);
  const float counted = fmaxf(1, sum[kCounted]);
  e.stats[QLORA_POLICY_STAT_LOSS] += e.scale * sum[kLoss];
  e.stats[QLORA_POLICY_STAT_KL] += sum[kKL] / fmaxf(1, sum[kScored]);
  e.stats[QLORA_POLICY_STAT_LOW] += sum[kLow] / counted;
  e.stats[QLORA_POLICY_STAT_HIGH] += sum[kHigh] / counted;
  e.stats[QLORA_POLICY_STAT_REGION] += (sum[kLow] + sum[kHigh]) / counted;
  e.stats[QLORA_POLICY_STAT_PHI] += sum[kPhi] / static_cast<float>(max(1, e.sequences));
  e.stats[QLORA_POLICY_STAT_BATCHES] += 1;
  if (least < kNone) {
    e.stats[QLORA_POLICY_STAT_LEAST_LOW] += least;
    e.stats[QLORA_POLICY_STAT_MOST_HIGH] += most;
    e.stats[QLORA_POLICY_STAT_SCORED] += 1;
  }
}
REGISTER_KERNEL(policy_gradient, kThreads, kShared);

const float* floats(const qlora_tensor& t) { return static_cast<const float*>(t.data); }

}  // namespace

int policy(qlora_context* c, const qlora_policy* op) {
  Sampled e{};
  e.loss = op->loss;
  e.of_sequences = op->of_sequences != 0;
  e.kl_by_ratio = op->kl_by_ratio != 0;
  e.beta = op->beta;
  e.low = op->low;
  e.high = op->high;
  e.delta = op->delta;
  e.least = op->least;
  e.far = op->far;
  e.scale = op->scale;
  for (int i = 0; i < 2; i++) {
    e.temperature[i] = op->temperature[i];
    e.power[i] = op->power[i];
    e.decay[i] = op->decay[i];
  }
  e.losses = floats(op->losses);
  e.old = floats(op->old);
  e.reference = floats(op->reference);
  e.entropies = floats(op->entropies);
  e.share = floats(op->share);
  e.advantages = floats(op->advantages);
  e.weights = static_cast<float*>(op->weights.data);
  e.stats = static_cast<float*>(op->stats.data);
  e.starts = static_cast<const int32_t*>(op->starts.data);
  e.sequences = static_cast<int>(op->advantages.rows * op->advantages.cols);
  return launch(c, "policy_gradient", policy_gradient, dim3(1), dim3(kThreads), kShared, e);
}
