// Reading and writing elements of any floating type, one at a time and eight at a time.
#pragma once

#include "ptx/ptx.cuh"
#include "runtime/context.h"

// Elements per thread access on the fast paths: 16 bytes of 16-bit elements.
constexpr int kEight = 8;

struct Eight {
  float x[kEight];
};

// Eight BF16 as stored in memory.
__device__ __forceinline__ Eight widen(uint4 v) {
  return {{ptx::low(v.x), ptx::high(v.x), ptx::low(v.y), ptx::high(v.y), ptx::low(v.z),
           ptx::high(v.z), ptx::low(v.w), ptx::high(v.w)}};
}

__device__ __forceinline__ Eight load8(const bf16* p) { return widen(ptx::load128(p)); }

__device__ __forceinline__ float half_at(uint32_t pair, int shift) {
  return ptx::to_float(f16{static_cast<uint16_t>(pair >> shift)});
}

__device__ __forceinline__ Eight load8(const f16* p) {
  uint4 v = ptx::load128(p);
  return {{half_at(v.x, 0), half_at(v.x, 16), half_at(v.y, 0), half_at(v.y, 16), half_at(v.z, 0),
           half_at(v.z, 16), half_at(v.w, 0), half_at(v.w, 16)}};
}

__device__ __forceinline__ Eight load8(const float* p) {
  uint4 a = ptx::load128(p), b = ptx::load128(p + 4);
  return {{__uint_as_float(a.x), __uint_as_float(a.y), __uint_as_float(a.z), __uint_as_float(a.w),
           __uint_as_float(b.x), __uint_as_float(b.y), __uint_as_float(b.z), __uint_as_float(b.w)}};
}

// Eight elements rounded to BF16.
__device__ __forceinline__ uint4 narrow(const Eight& v) {
  return make_uint4(ptx::pack(v.x[0], v.x[1]), ptx::pack(v.x[2], v.x[3]), ptx::pack(v.x[4], v.x[5]),
                    ptx::pack(v.x[6], v.x[7]));
}

__device__ __forceinline__ void store8(bf16* p, const Eight& v) { ptx::store128(p, narrow(v)); }

__device__ __forceinline__ uint32_t pack_halves(float low, float high) {
  return ptx::from_float<f16>(low).bits | static_cast<uint32_t>(ptx::from_float<f16>(high).bits)
                                              << 16;
}

__device__ __forceinline__ void store8(f16* p, const Eight& v) {
  ptx::store128(p, make_uint4(pack_halves(v.x[0], v.x[1]), pack_halves(v.x[2], v.x[3]),
                              pack_halves(v.x[4], v.x[5]), pack_halves(v.x[6], v.x[7])));
}

__device__ __forceinline__ void store8(float* p, const Eight& v) {
  ptx::store128(p, make_uint4(__float_as_uint(v.x[0]), __float_as_uint(v.x[1]),
                              __float_as_uint(v.x[2]), __float_as_uint(v.x[3])));
  ptx::store128(p + 4, make_uint4(__float_as_uint(v.x[4]), __float_as_uint(v.x[5]),
                                  __float_as_uint(v.x[6]), __float_as_uint(v.x[7])));
}

// A vector whose type is known at launch: all threads take the same branch.
struct AnyVector {
  const void* data;
  int dtype;

  __device__ __forceinline__ Eight eight(int64_t i) const {
    if (dtype == QLORA_F32) return load8(static_cast<const float*>(data) + i);
    if (dtype == QLORA_BF16) return load8(static_cast<const bf16*>(data) + i);
    return load8(static_cast<const f16*>(data) + i);
  }
  __device__ __forceinline__ float one(int64_t i) const {
    if (dtype == QLORA_F32) return static_cast<const float*>(data)[i];
    if (dtype == QLORA_BF16) return ptx::to_float(static_cast<const bf16*>(data)[i]);
    return ptx::to_float(static_cast<const f16*>(data)[i]);
  }
};

inline AnyVector any(const qlora_tensor& t) { return {t.data, t.dtype}; }

// Reports whether every row of t can be read eight elements at a time.
inline bool eights(const qlora_tensor& t) {
  int64_t size = t.dtype == QLORA_F32 || t.dtype == QLORA_I32 ? 4 : t.dtype == QLORA_U8 ? 1 : 2;
  return t.cols % kEight == 0 && reinterpret_cast<uintptr_t>(t.data) % 16 == 0 &&
         (t.rows <= 1 || t.stride * size % 16 == 0);
}

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
