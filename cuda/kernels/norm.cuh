// What kernels of norms share: their operands, and a row in the registers of the lanes that share it.
// norm.cu has the formulas.
#pragma once

#include "include/qlora.h"
#include "kernels/elements.cuh"
#include "kernels/reduce.cuh"
#include "runtime/launch.h"

namespace norms {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
constexpr int kSum = kWarps * sizeof(float);  // of shared memory, for a sum over a block
constexpr int kForward = 2 * kSum, kBackward = 4 * kSum;

struct Norm {
  const bf16* x;
  AnyVector weight;
  bf16* y;
  float* rstd;
  int64_t rows, x_stride, y_stride;
  int cols;
  float eps;
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
  const bf16* residual;  // of forward
  int64_t residual_stride;

  __device__ __forceinline__ int turn(int64_t row) const {
    return static_cast<int>(static_cast<uint32_t>(row) % turns);
  }
  __device__ __forceinline__ float weight(const AnyVector& w, int turn, int col) const {
    return (w.data != nullptr ? w.one(turn * weight_stride + col) : 1) + offset;
  }
  __device__ __forceinline__ float normalized(float x, const AnyVector& w, int turn, int col,
                                              float mean, float r) const {
    x = (x - mean) * (r * weight(w, turn, col));
    return bias.data != nullptr ? x + bias.one(turn * bias_stride + col) : x;
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

// A row's sums in shared memory: forward has the first two, backward all.
enum { kSquares, kMeans, kProducts, kGradients };

// Returns the mean of the row that is in the lanes' registers, zeros beyond its end.
template <int kLanes, int kVectors>
__device__ __forceinline__ float row_mean(const uint4 (&x)[kVectors], int cols, int n) {
  float sum = 0;
#pragma unroll
  for (int v = 0; v < kVectors; v++) {
    Eight e = widen(x[v]);
#pragma unroll
    for (int i = 0; i < kEight; i++) sum += e.x[i];
  }
  return row_sum<kLanes>(sum, n) / static_cast<float>(cols);
}

// Returns 1/sqrt(mean((x - mean)²) + eps) of the same row.
template <int kLanes, int kVectors, bool kGeneral>
__device__ __forceinline__ float row_rstd(const uint4 (&x)[kVectors], int cols, float mean,
                                          float eps, int n) {
  const int lane = threadIdx.x % kLanes;
  float sum = 0;
#pragma unroll
  for (int v = 0; v < kVectors; v++) {
    if (kGeneral && (v * kLanes + lane) * kEight >= cols) break;  // 0 less the mean is not 0
    Eight e = widen(x[v]);
#pragma unroll
    for (int i = 0; i < kEight; i++) sum += (e.x[i] - mean) * (e.x[i] - mean);
  }
  return ptx::rsqrt(row_sum<kLanes>(sum, n) / static_cast<float>(cols) + eps);
}

// Returns eight elements of y; mean and bias are those of the general instances.
template <bool kGeneral>
__device__ __forceinline__ Eight normalized(Eight x, const Eight& w, const General& g, int turn,
                                            int col, float mean, float r) {
  if constexpr (kGeneral) {
    Eight b = {};
    if (g.bias.data != nullptr) b = g.bias.eight(turn * g.bias_stride + col);
#pragma unroll
    for (int i = 0; i < kEight; i++) x.x[i] = (x.x[i] - mean) * (r * w.x[i]) + b.x[i];
  } else {
#pragma unroll
    for (int i = 0; i < kEight; i++) x.x[i] *= r * w.x[i];
  }
  return x;
}

// Normalizes heads and rotates them: norm_heads.cu.
int norm_heads(qlora_context*, const qlora_norm*, const Norm&, const General&);

// Normalizes, adds the residual, and normalizes the sum: norm_next.cu.
int norm_then_next(qlora_context*, const qlora_norm*, const Norm&, const General&);

inline General general_of(const qlora_tensor& weight, const qlora_tensor& bias,
                          const qlora_tensor& mean, float offset, bool centered) {
  return {any(bias),
          weight.stride,
          bias.stride,
          static_cast<float*>(mean.data),
          static_cast<int>(max(int64_t{1}, max(weight.rows, bias.rows))),
          offset,
          centered,
          nullptr,
          0};
}

inline bool is_plain(const qlora_tensor& weight, float offset) {
  return weight.data != nullptr && weight.rows == 1 && offset == 0;
}

inline bool aligned(const qlora_tensor& t) { return t.data == nullptr || eights(t); }

}  // namespace norms
