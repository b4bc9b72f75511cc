// The functions of ptx.cuh on the emulator. See there for what they do.
//
// Operands are passed by value, so that a kernel's variables never have their address taken: its
// registers do not become memory here.
#pragma once

#include <cmath>
#include <cstring>

#include "emu/access.h"
#include "emu/warp.h"

namespace ptx {

inline float to_float(bf16 x) { return __uint_as_float(static_cast<uint32_t>(x.bits) << 16); }
inline float to_float(f16 x) { return emu::half_to_float(x.bits); }
inline float to_float(float x) { return x; }

template <>
inline float from_float<float>(float x) {
  return x;
}

template <>
inline bf16 from_float<bf16>(float x) {
  uint32_t u = __float_as_uint(x);
  if ((u & 0x7fffffff) > 0x7f800000) return {0x7fff};
  return {static_cast<uint16_t>((u + 0x7fff + ((u >> 16) & 1)) >> 16)};
}

template <>
inline f16 from_float<f16>(float x) {
  return {emu::float_to_half(x)};
}

inline uint32_t pack(float low, float high) {
  return from_float<bf16>(low).bits | static_cast<uint32_t>(from_float<bf16>(high).bits) << 16;
}

inline float low(uint32_t pair) { return __uint_as_float(pair << 16); }
inline float high(uint32_t pair) { return __uint_as_float(pair & 0xffff0000u); }

inline float exp2(float x) {
  auto y = static_cast<float>(std::exp2(static_cast<double>(x)));
  return y < 0x1p-126f ? 0 : y;
}
inline float rsqrt(float x) { return static_cast<float>(1 / std::sqrt(static_cast<double>(x))); }
inline float reciprocal(float x) {
  return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(INFINITY, x) : 1 / x;
}

inline uint32_t permute(uint32_t a, uint32_t b, uint32_t selector) {
  uint64_t bytes = static_cast<uint64_t>(b) << 32 | a;
  uint32_t y = 0;
  for (int i = 0; i < 4; i++) {
    uint32_t byte = static_cast<uint32_t>(bytes >> (8 * (selector >> (4 * i) & 7))) & 0xff;
    if (selector >> (4 * i) & 8) byte = byte & 0x80 ? 0xff : 0;  // prmt's replicated sign
    y |= byte << (8 * i);
  }
  return y;
}

inline uint4 load128(const void* from) { return emu::load128(from); }
inline uint4 load128_once(const void* from) { return emu::load128(from); }
inline void store128(void* to, uint4 x) { emu::store128(to, x); }
inline uint2 load64(const void* from) { return emu::load64(from); }
inline void store64(void* to, uint2 x) { emu::store64(to, x); }
inline uint32_t load32(const void* from) { return emu::load32(from); }
inline void store32(void* to, uint32_t x) { emu::store32(to, x); }

template <class T>
inline T* global(T* p) {
  return p;
}

template <class T>
inline T* flipped(T* p, uint32_t bits) {
  return reinterpret_cast<T*>(reinterpret_cast<uintptr_t>(p) ^ bits);
}

template <int Size>
inline void copy_async(void* shared, const void* from, int bytes) {
  static_assert(Size == 4 || Size == 8 || Size == 16, "cp.async copies 4, 8 or 16 bytes");
  emu::copy_async(shared, from, Size, bytes);
}

inline void async_commit() { emu::async_commit(); }

template <int Pending>
inline void async_wait() {
  emu::async_wait(Pending);
}

inline void ldmatrix(uint32_t (&r)[4], const void* row, emu::Place at) {
  emu::Words4 m = emu::ldmatrix4(row, false, at);
  for (int i = 0; i < 4; i++) r[i] = m.x[i];
}

inline void ldmatrix(uint32_t (&r)[2], const void* row, emu::Place at) {
  emu::Words2 m = emu::ldmatrix2(row, false, at);
  for (int i = 0; i < 2; i++) r[i] = m.x[i];
}

inline void ldmatrix_transposed(uint32_t (&r)[4], const void* row, emu::Place at) {
  emu::Words4 m = emu::ldmatrix4(row, true, at);
  for (int i = 0; i < 4; i++) r[i] = m.x[i];
}

inline void ldmatrix_transposed(uint32_t (&r)[2], const void* row, emu::Place at) {
  emu::Words2 m = emu::ldmatrix2(row, true, at);
  for (int i = 0; i < 2; i++) r[i] = m.x[i];
}

inline void mma(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], emu::Place at) {
  emu::Floats4 sum = emu::mma(d[0], d[1], d[2], d[3], a[0], a[1], a[2], a[3], b[0], b[1], at);
  for (int i = 0; i < 4; i++) d[i] = sum.x[i];
}

inline void barrier_sync(int id, int threads, emu::Place at) {
  emu::barrier(id, threads, true, at);
}
inline void barrier_arrive(int id, int threads, emu::Place at) {
  emu::barrier(id, threads, false, at);
}

}  // namespace ptx
