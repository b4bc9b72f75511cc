// The angles of rotary positions (Su et al. 2021), and the rotation of eight elements of a head.
#pragma once

#include "kernels/elements.cuh"
#include "runtime/launch.h"

// For i < half and p = position of the row, the pairs (a, b) = (x[i], x[half + i]) of a head, or
// interleaved (x[2i], x[2i + 1]), become a·cos[p][i] - b·sin[p][i], b·cos[p][i] + a·sin[p][i], with
// sin times sign.
struct Angles {
  const int32_t* positions;  // NULL: no rotation
  const float *cos, *sin;    // [positions, half]
  const Failure* failure;    // of a check of positions
  int32_t cos_stride, sin_stride, half;
  float sign;
  bool interleaved;

  // Reports whether there is a rotation, by valid positions.
  __device__ __forceinline__ bool valid() const {
    return positions != nullptr && failure->check == 0;
  }

  // Returns the eight elements x of a row's head, from column col on, a multiple of 8 less than
  // 2·half, rotated; other are those half a head away.
  __device__ __forceinline__ Eight turned(int64_t row, int col, const Eight& x,
                                          const Eight& other) const {
    const int64_t p = positions[row];
    Eight y;
    if (interleaved) {
      const uint4 c = ptx::load128(cos + p * cos_stride + col / 2);
      const uint4 s = ptx::load128(sin + p * sin_stride + col / 2);
      const uint32_t cs[4] = {c.x, c.y, c.z, c.w}, ss[4] = {s.x, s.y, s.z, s.w};
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const float co = __uint_as_float(cs[j]), si = __uint_as_float(ss[j]) * sign;
        y.x[2 * j] = x.x[2 * j] * co - x.x[2 * j + 1] * si;
        y.x[2 * j + 1] = x.x[2 * j + 1] * co + x.x[2 * j] * si;
      }
      return y;
    }
    const bool first = col < half;
    const int i = first ? col : col - half;
    const Eight co = load8(cos + p * cos_stride + i), si = load8(sin + p * sin_stride + i);
    const float by = first ? -sign : sign;
#pragma unroll
    for (int j = 0; j < kEight; j++) y.x[j] = x.x[j] * co.x[j] + other.x[j] * (si.x[j] * by);
    return y;
  }
};

inline Angles angles_of(qlora_context* c, const qlora_angles& a, bool inverse) {
  return {static_cast<const int32_t*>(a.positions.data),
          static_cast<const float*>(a.cos.data),
          static_cast<const float*>(a.sin.data),
          failure(c),
          static_cast<int32_t>(a.cos.stride),
          static_cast<int32_t>(a.sin.stride),
          static_cast<int32_t>(a.cos.cols),
          inverse ? -1.0f : 1.0f,
          a.interleaved != 0};
}

// Reports whether turned can be used: eight elements have angles that are read in whole vectors.
inline bool in_eights(const qlora_angles& a) {
  const int64_t units = a.interleaved != 0 ? 4 : 8;
  auto whole = [&](const qlora_tensor& t) {
    return t.cols % units == 0 && reinterpret_cast<uintptr_t>(t.data) % 16 == 0 &&
           t.stride % 4 == 0;
  };
  return whole(a.cos) && whole(a.sin);
}
