// Sums and maxima over lanes and blocks, in an order that depends only on their number.
#pragma once

#include "runtime/launch.h"

// Returns the sum over kLanes adjacent lanes of a full warp, in each of them.
template <int kLanes>
__device__ __forceinline__ float lanes_sum(float x) {
#pragma unroll
  for (int i = kLanes / 2; i > 0; i /= 2) x += __shfl_xor_sync(0xffffffffu, x, i, kLanes);
  return x;
}

template <int kLanes>
__device__ __forceinline__ float lanes_max(float x) {
#pragma unroll
  for (int i = kLanes / 2; i > 0; i /= 2) {
    x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, i, kLanes));
  }
  return x;
}

// Returns the sum over a block of kWarps warps, in every thread: first over each warp, then over
// warps in order. `shared` has kWarps floats, which nothing else may use until the next barrier.
template <int kWarps>
__device__ __forceinline__ float block_sum(float x, float* shared) {
  x = lanes_sum<32>(x);
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
  __syncthreads();
  x = shared[0];
#pragma unroll
  for (int w = 1; w < kWarps; w++) x += shared[w];
  return x;
}
