// The 8-bit code of Dettmers et al. 2022 (package dynamic8): a number is stored as the nearest of
// 256 values times the absmax of its block of 256.
#pragma once

#include "ptx/ptx.cuh"

// The values are in shared memory with a gap after each 32: what the steps of a search may read then
// lies in different banks, where it would be in one (of steps of 16) to four.
constexpr int kDynamicWords = 256 + 256 / 32;

__device__ __forceinline__ int dynamic_place(int code) { return code + code / 32; }

// Returns the code of x in [-1, 1]: the nearest of the ascending values. Ties go as in
// bitsandbytes' search, which bisects seven times, from 127, and then compares the neighbor on x's
// side. NaN has code 0.
__device__ __forceinline__ uint32_t dynamic_code(const float* values, float x) {
  int pivot = 127, below = 0, above = 255;
#pragma unroll
  for (int step = 64; step > 0; step /= 2) {
    if (x > values[dynamic_place(pivot)]) {
      below = pivot;
      pivot += step;
    } else {
      above = pivot;
      pivot -= step;
    }
  }
  const float value = values[dynamic_place(pivot)];
  if (x > value) return x > (values[dynamic_place(above)] + value) * 0.5f ? above : pivot;
  return x < (values[dynamic_place(below)] + value) * 0.5f ? below : pivot;
}
