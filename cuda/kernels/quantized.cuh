// Reading a weight in bitsandbytes' 4-bit blocks (include/qlora.h: qlora_weight).
#pragma once

#include "kernels/elements.cuh"

// The values of the codes for a scale of 1, by kind (package nf4).
static __device__ const float kCodebooks[4][16] = {
    {-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
     -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
     0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
     0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f},
    {0.0f, 0.0625f / 12, 8.0f / 12, 1.0f, 4.0f / 12, 6.0f / 12, 2.0f / 12, 3.0f / 12,  //
     0.0f, -0.0625f / 12, -8.0f / 12, -1.0f, -4.0f / 12, -6.0f / 12, -2.0f / 12, -3.0f / 12},
    {-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7},
    {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113},
};

// The scales of a weight's blocks.
struct Scales {
  const float* absmax;  // NULL: the scales are in 8 bits
  const uint8_t* codes;
  const float* nested;
  const float* map;
  const float* offset;
  int nested_shift;  // log2 of the scales that share a nested scale

  // The product is rounded before the sum, as bitsandbytes' two kernels round it.
  __device__ __forceinline__ float at(int64_t block) const {
    if (absmax != nullptr) return absmax[block];
    return __fadd_rn(__fmul_rn(map[codes[block]], nested[block >> nested_shift]), *offset);
  }

  // Reads the scales of blocks number[i] >> shift where wanted(i). Their parts are loaded in
  // parallel.
  template <int kCount, class Wanted>
  __device__ __forceinline__ void gather(float (&scales)[kCount], const uint32_t (&number)[kCount],
                                         int shift, Wanted wanted) const {
    if (absmax != nullptr) {
#pragma unroll
      for (int i = 0; i < kCount; i++) {
        if (wanted(i)) scales[i] = absmax[number[i] >> shift];
      }
      return;
    }
    uint32_t code[kCount] = {};
#pragma unroll
    for (int i = 0; i < kCount; i++) {
      if (wanted(i)) code[i] = codes[number[i] >> shift];
    }
    const float mean = *offset;
#pragma unroll
    for (int i = 0; i < kCount; i++) {
      if (!wanted(i)) continue;
      float second = nested[number[i] >> (shift + nested_shift)];
      scales[i] = __fadd_rn(__fmul_rn(map[code[i]], second), mean);
    }
  }
};

// log2 of a power of two, or -1.
inline int shift_of(int64_t n) {
  if (n <= 0 || (n & (n - 1)) != 0) return -1;
  int shift = 0;
  while (n >>= 1) shift++;
  return shift;
}

inline Scales scales_of(const qlora_weight& w) {
  return {w.absmax, w.absmax_codes, w.nested, w.map, w.offset, shift_of(w.nested_block)};
}

// Reports whether the decoding kernels support the weight: bitsandbytes' nested blocks have 256
// scales.
inline bool known_scales(const qlora_weight& w) {
  return w.absmax != nullptr || shift_of(w.nested_block) >= 0;
}
