// The cross-entropy of one chunk of tokens and, in place, its gradient. For a row of logits z with
// label l:
//
//   loss = logsumexp(z) - z[l]     hit = l is the first of the largest
//   z[j] = scale·weight·(exp(z[j] - logsumexp(z)) - (j == l))      (with backward)
//
// A row whose label is -100 has loss 0, no hit and, with backward, a gradient of zeros. Logits are
// BF16 [tokens, vocabulary]; the kernel does nothing once a check of the labels has failed. With a
// logit scale and a cap, z is cap·tanh(logit_scale·logit/cap), and the gradient is that of logit.
// With label smoothing s the target is 1 - s on the label plus s/V on each of the V logits:
//
//   loss = logsumexp(z) - z[l] + s·(z[l] - mean(z))
//   z[j] = scale·(exp(z[j] - logsumexp(z)) - (1 - s)·(j == l) - s/V)
//
// Where it is wanted, the entropy of softmax(z) comes from a third sum, of d·exp(d) over the
// differences d = z - most:
//
//   entropy = logsumexp(d) - sum(d·exp(d)) / sum(exp(d))
//
// One block per row, of 1024 threads unless the vocabulary is small. One pass computes maximum and
// sum together: a thread's sum is rescaled only when 8 logits bring a larger maximum, which is rare
// after a few dozen. A second pass writes the gradient. Rows of a 128K vocabulary are 256 KB, more
// than shared memory, but those of all blocks in flight are 34 to 68 MB on an H100: most of the
// second pass reads L2. Floor: 4 bytes per logit from memory (2 without backward), and two
// exponentials and some 12 operations, a third of what an SM can do in that time.
//
// Near certainty exp(z[l] - logsumexp(z)) - 1 cancels, so it is computed from the loss, and the
// loss from the sum over all logits but the largest, whose 1 would absorb the others.
#include <climits>

#include "kernels/cap.cuh"
#include "kernels/elements.cuh"
#include "kernels/entries.h"
#include "kernels/reduce.cuh"
#include "runtime/launch.h"

namespace {

constexpr int kThreads = 1024;
constexpr int kWarps = kThreads / 32;  // of the widest block
constexpr int kShared = 2 * kWarps * sizeof(float) + kWarps * sizeof(int);
constexpr int kWiderShared = kShared + kWarps * sizeof(float);
constexpr int kIgnored = -100;
constexpr float kLog2E = 1.4426950408889634f;
constexpr float kFarthest = 3e38f;  // below the largest: 0·-kFarthest is 0, and 0·-inf is not

struct CrossEntropy {
  bf16* logits;
  const int32_t* labels;
  const float *weights, *factor;  // or null
  float *losses, *hits, *entropies;
  const Failure* failure;
  int64_t stride;
  int vocabulary;
  float scale, logit_scale, logit_cap, smoothing;
  bool backward;
};

// The largest of some logits, its first index, and over the others the sum of exp(z - most) and, if
// measured, that of (z - most)·exp(z - most).
struct Partial {
  float most, rest, fall;
  int first;
};

__device__ __forceinline__ float exp_of(float z, float shift) {
  return ptx::exp2((z - shift) * kLog2E);
}

// Makes a larger logit the largest; the previous one joins the others.
template <bool kMeasured>
__device__ __forceinline__ void raise(Partial* p, float most, int first) {
  const float factor = exp_of(p->most, most);  // 0 if there was none
  if constexpr (kMeasured) {
    const float below = fmaxf(p->most - most, -kFarthest);
    p->fall = (p->fall + below * (p->rest + 1)) * factor;
  }
  p->rest = (p->rest + 1) * factor;
  p->most = most;
  p->first = first;
}

// Adds a logit that is not the largest.
template <bool kMeasured>
__device__ __forceinline__ void join_others(const Partial& p, float z, float* rest, float* fall) {
  const float x = exp_of(z, p.most);
  *rest += x;
  if constexpr (kMeasured) *fall += fmaxf(z - p.most, -kFarthest) * x;
}

// Adds logits of the row; each thread adds its own in order.
template <bool kMeasured>
__device__ __forceinline__ void take(Partial* p, float z, int at) {
  if (z > p->most) {
    raise<kMeasured>(p, z, at);
  } else {
    join_others<kMeasured>(*p, z, &p->rest, &p->fall);
  }
}

template <bool kMeasured>
__device__ __forceinline__ void take(Partial* p, Eight v, int at) {
  float most = v.x[0];
#pragma unroll
  for (int i = 1; i < kEight; i++) most = fmaxf(most, v.x[i]);
  if (most > p->most) {
    int which = 0;
#pragma unroll
    for (int i = kEight - 1; i >= 0; i--) which = v.x[i] == most ? i : which;
    raise<kMeasured>(p, most, at + which);
#pragma unroll
    for (int i = 0; i < kEight; i++) v.x[i] = i == which ? -INFINITY : v.x[i];
  }
  float rest = 0, fall = 0;
#pragma unroll
  for (int i = 0; i < kEight; i++) join_others<kMeasured>(*p, v.x[i], &rest, &fall);
  p->rest += rest;
  if constexpr (kMeasured) p->fall += fall;
}

// z of a logit, and its derivative.
template <bool kCapped>
__device__ __forceinline__ Capped z_of(const CrossEntropy& e, float logit) {
  if constexpr (!kCapped) return {logit, 1};
  Capped z = capped(e.logit_scale * logit, e.logit_cap);
  return {z.value, e.logit_scale * z.slope};
}

template <bool kCapped>
__device__ __forceinline__ float z_at(const CrossEntropy& e, const bf16* logit) {
  return z_of<kCapped>(e, ptx::to_float(*logit)).value;
}

// The number of logits before the first 16-byte boundary of a row.
__device__ __forceinline__ int unaligned(const bf16* row, int vocabulary) {
  auto odd = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(row) / sizeof(bf16)) % kEight;
  return min(static_cast<int>((kEight - odd) % kEight), vocabulary);
}

// Joins the partials of the block's threads.
template <bool kMeasured>
__device__ __forceinline__ Partial join(const Partial& p) {
  float* most = shared_memory<float>();
  float* rests = most + kWarps;
  int* places = reinterpret_cast<int*>(rests + kWarps);
  float* falls = rests + 2 * kWarps;
  const int warp = threadIdx.x / 32, warps = blockDim.x / 32;
  const float warp_most = lanes_max<32>(p.most);
  int first = p.most == warp_most ? p.first : INT_MAX;
#pragma unroll
  for (int i = 16; i > 0; i /= 2) first = min(first, __shfl_xor_sync(0xffffffffu, first, i));
  if (threadIdx.x % 32 == 0) {
    most[warp] = warp_most;
    places[warp] = first;
  }
  __syncthreads();
  Partial all{most[0], 0, 0, places[0]};
  for (int w = 1; w < warps; w++) {
    if (most[w] > all.most) {
      all.most = most[w];
      all.first = places[w];
    } else if (most[w] == all.most) {
      all.first = min(all.first, places[w]);
    }
  }
  // Each thread's largest joins the others, except for the first of the largest.
  Partial own = p;
  if (p.first != all.first) raise<kMeasured>(&own, all.most, all.first);
  const float rest = lanes_sum<32>(own.rest);
  if (threadIdx.x % 32 == 0) rests[warp] = rest;
  if constexpr (kMeasured) {
    const float fall = lanes_sum<32>(own.fall);
    if (threadIdx.x % 32 == 0) falls[warp] = fall;
  }
  __syncthreads();
  for (int w = 0; w < warps; w++) all.rest += rests[w];
  if constexpr (kMeasured) {
    for (int w = 0; w < warps; w++) all.fall += falls[w];
  }
  return all;
}

// Returns the sum over the block's threads. Its memory lies after that of join.
__device__ __forceinline__ float total(float x) {
  float* sums = shared_memory<float>() + 3 * kWarps;
  x = lanes_sum<32>(x);
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = x;
  __syncthreads();
  float all = 0;
  for (int w = 0; w < static_cast<int>(blockDim.x) / 32; w++) all += sums[w];
  return all;
}

template <bool kCapped, bool kSmoothed, bool kMeasured>
__global__ void __launch_bounds__(kThreads, 1) cross_entropy_of(CrossEntropy e) {
  if (e.failure->check != 0) return;
  bf16* row = e.logits + blockIdx.x * e.stride;
  const int label = e.labels[blockIdx.x], thread = static_cast<int>(threadIdx.x);
  const int threads = static_cast<int>(blockDim.x);
  const int head = unaligned(row, e.vocabulary);
  const int tail = head + (e.vocabulary - head) / kEight * kEight;
  if (label == kIgnored) {
    if (thread == 0) {
      e.losses[blockIdx.x] = 0;
      e.hits[blockIdx.x] = 0;
      if constexpr (kMeasured) e.entropies[blockIdx.x] = 0;
    }
    if (!e.backward) return;
    if (thread < head) row[thread] = bf16{0};
    for (int j = head + thread * kEight; j < tail; j += threads * kEight) {
      ptx::store128(row + j, make_uint4(0, 0, 0, 0));
    }
    if (tail + thread < e.vocabulary) row[tail + thread] = bf16{0};
    return;
  }

  Partial p{-INFINITY, 0, 0, INT_MAX};
  float sum = 0;  // of the thread's z, if smoothed
  if (thread < head) {
    const float z = z_at<kCapped>(e, row + thread);
    if constexpr (kSmoothed) sum += z;
    take<kMeasured>(&p, z, thread);
  }
  uint4 next = {};
  int j = head + thread * kEight;
  if (j < tail) next = ptx::load128(row + j);
  for (; j < tail; j += threads * kEight) {  // with the load of the next unit in flight
    Eight v = widen(next);
    if constexpr (kCapped) {
#pragma unroll
      for (int i = 0; i < kEight; i++) v.x[i] = z_of<kCapped>(e, v.x[i]).value;
    }
    if (j + threads * kEight < tail) next = ptx::load128(row + j + threads * kEight);
    if constexpr (kSmoothed) {
      float part = 0;
#pragma unroll
      for (int i = 0; i < kEight; i++) part += v.x[i];
      sum += part;
    }
    take<kMeasured>(&p, v, j);
  }
  if (tail + thread < e.vocabulary) {
    const float z = z_at<kCapped>(e, row + tail + thread);
    if constexpr (kSmoothed) sum += z;
    take<kMeasured>(&p, z, tail + thread);
  }
  const Capped target = z_of<kCapped>(e, ptx::to_float(row[label]));
  p = join<kMeasured>(p);  // after its barriers no thread reads others' logits in `row`
  const float loss = log1pf(p.rest) + (p.most - target.value);
  float uniform = 0, smooth = 0;  // the share of each logit in the target, and its loss
  if constexpr (kSmoothed) {
    uniform = e.smoothing / static_cast<float>(e.vocabulary);
    smooth = e.smoothing * target.value - uniform * total(sum);
  }
  if (thread == 0) {
    e.losses[blockIdx.x] = loss + smooth;
    e.hits[blockIdx.x] = p.first == label ? 1 : 0;
    if constexpr (kMeasured) {
      e.entropies[blockIdx.x] = fmaxf(log1pf(p.rest) - p.fall / (1 + p.rest), 0);
    }
  }
  if (!e.backward) return;

  const float of_all = e.factor ? e.scale * *e.factor : e.scale;
  const float scale = e.weights ? of_all * e.weights[blockIdx.x] : of_all;
  const float factor = scale / (1 + p.rest);
  float less = expm1f(-loss);  // of the label
  if constexpr (kSmoothed) less += e.smoothing - uniform;
  const bf16 at_label = ptx::from_float<bf16>(scale * less * target.slope);
  auto gradient = [&](float logit) {
    Capped z = z_of<kCapped>(e, logit);
    float g = factor * exp_of(z.value, p.most);
    if constexpr (kSmoothed) g -= scale * uniform;
    return g * z.slope;
  };
  if (thread < head) {
    bf16 g = ptx::from_float<bf16>(gradient(ptx::to_float(row[thread])));
    row[thread] = thread == label ? at_label : g;
  }
  for (int j = head + thread * kEight; j < tail; j += threads * kEight) {
    Eight v = load8(row + j);
#pragma unroll
    for (int i = 0; i < kEight; i++) v.x[i] = gradient(v.x[i]);
    store8(row + j, v);
    if (label >= j && label < j + kEight) row[label] = at_label;
  }
  if (const int j = tail + thread; j < e.vocabulary) {
    bf16 g = ptx::from_float<bf16>(gradient(ptx::to_float(row[j])));
    row[j] = j == label ? at_label : g;
  }
}
REGISTER_INSTANCE(cross_entropy_rows, kThreads, kShared, cross_entropy_of<false, false, false>);
REGISTER_INSTANCE(cross_entropy_capped, kThreads, kShared, cross_entropy_of<true, false, false>);
REGISTER_INSTANCE(cross_entropy_smoothed, kThreads, kWiderShared,
                  cross_entropy_of<true, true, false>);
REGISTER_INSTANCE(cross_entropy_measured, kThreads, kWiderShared,
                  cross_entropy_of<true, false, true>);

}  // namespace

int cross_entropy(qlora_context* c, const qlora_cross_entropy* op) {
  if (op->logits.rows * op->logits.cols == 0) return QLORA_OK;
  CrossEntropy e{static_cast<bf16*>(op->logits.data),
                 static_cast<const int32_t*>(op->labels.data),
                 static_cast<const float*>(op->weights.data),
                 static_cast<const float*>(op->factor.data),
                 static_cast<float*>(op->losses.data),
                 static_cast<float*>(op->hits.data),
                 static_cast<float*>(op->entropies.data),
                 failure(c),
                 op->logits.stride,
                 static_cast<int>(op->logits.cols),
                 op->scale,
                 op->logit_scale,
                 op->logit_cap,
                 op->smoothing,
                 op->backward != 0};
  // At most one thread per unit, in whole warps.
  int64_t threads = min(int64_t{kThreads}, ceil_div(op->logits.cols, 32 * kEight) * 32);
  const dim3 grid(static_cast<uint32_t>(op->logits.rows)), block(static_cast<uint32_t>(threads));
  if (op->smoothing > 0) {
    return launch(c, "cross_entropy_smoothed", cross_entropy_of<true, true, false>, grid, block,
                  kWiderShared, e);
  }
  if (e.entropies) {
    return launch(c, "cross_entropy_measured", cross_entropy_of<true, false, true>, grid, block,
                  kWiderShared, e);
  }
  const bool capped = op->logit_scale != 1 || op->logit_cap > 0;
  return launch(
      c, capped ? "cross_entropy_capped" : "cross_entropy_rows",
      capped ? cross_entropy_of<true, false, false> : cross_entropy_of<false, false, false>, grid,
      block, kShared, e);
}
