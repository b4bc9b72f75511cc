// CUDA as a kernel sees it when g++ compiles it: keywords, vector types, indices, barriers and
// shuffles, implemented by the emulator.
//
// Kernel sources are compiled with -fsanitize=thread only for the calls that it inserts before
// every load and store (hooks.cpp). No sanitizer library is linked.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#define __global__
#define __grid_constant__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)

struct uint2 {
  uint32_t x, y;
};
struct alignas(16) uint4 {
  uint32_t x, y, z, w;
};
struct float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
inline uint2 make_uint2(uint32_t x, uint32_t y) { return {x, y}; }
inline uint4 make_uint4(uint32_t x, uint32_t y, uint32_t z, uint32_t w) { return {x, y, z, w}; }
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

struct dim3 {
  uint32_t x, y, z;
  constexpr dim3(uint32_t x = 1, uint32_t y = 1, uint32_t z = 1) : x(x), y(y), z(z) {}
};

namespace emu {

struct Index {
  uint32_t x, y, z;
};

// A place in a kernel's source. As the default of a parameter, here() is the caller's.
struct Place {
  const char* file = nullptr;
  int line = 0;
  static constexpr Place here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
  }
  bool operator==(const Place& other) const {
    return line == other.line && (file == other.file || std::strcmp(file, other.file) == 0);
  }
};

// Constant during a thread's lifetime: the compiler may cache them.
Index thread_index() __attribute__((const));
Index block_index() __attribute__((const));
Index block_size() __attribute__((const));
Index grid_size() __attribute__((const));

// The block's dynamic shared memory, aligned to 1024 bytes.
void* shared() __attribute__((const));

// A barrier of `threads` threads of the block (0: all that have not returned). With wait false the
// thread arrives without waiting. All lanes of a warp execute it at one place.
void barrier(int id, int threads, bool wait, Place at);
// A barrier of the lanes in mask that orders their memory accesses.
void warp_barrier(uint32_t mask);
// Returns the value of lane `from`; that of a lane outside the mask is poison.
uint32_t shuffle(uint32_t mask, uint32_t value, int from);
// Returns the bits of the lanes in mask whose predicate holds.
uint32_t ballot(uint32_t mask, bool predicate);

float half_to_float(uint16_t h);
uint16_t float_to_half(float f);

}  // namespace emu

#define threadIdx (emu::thread_index())
#define blockIdx (emu::block_index())
#define blockDim (emu::block_size())
#define gridDim (emu::grid_size())

inline void __syncthreads(emu::Place at = emu::Place::here()) { emu::barrier(0, 0, true, at); }
inline void __syncwarp(uint32_t mask = 0xffffffffu) { emu::warp_barrier(mask); }

namespace emu {
// 4-byte values are passed as their bits.
template <class T>
inline T exchange(uint32_t mask, T value, int from) {
  static_assert(sizeof(T) == 4, "shuffles carry 4 bytes");
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  bits = shuffle(mask, bits, from);
  std::memcpy(&value, &bits, 4);
  return value;
}
inline int lane() {
  return static_cast<int>(thread_index().x + thread_index().y * block_size().x +
                          thread_index().z * block_size().x * block_size().y) &
         31;
}
}  // namespace emu

template <class T>
inline T __shfl_sync(uint32_t mask, T value, int from, int width = 32) {
  return emu::exchange(mask, value, (emu::lane() & ~(width - 1)) | (from & (width - 1)));
}

template <class T>
inline T __shfl_xor_sync(uint32_t mask, T value, int bits, int width = 32) {
  int from = emu::lane() ^ bits;
  bool within = (from & ~(width - 1)) == (emu::lane() & ~(width - 1));
  return emu::exchange(mask, value, within ? from : emu::lane());
}

template <class T>
inline T __shfl_down_sync(uint32_t mask, T value, uint32_t by, int width = 32) {
  bool within = (emu::lane() & (width - 1)) + static_cast<int>(by) < width;
  return emu::exchange(mask, value, within ? emu::lane() + static_cast<int>(by) : emu::lane());
}

template <class T>
inline T __shfl_up_sync(uint32_t mask, T value, uint32_t by, int width = 32) {
  bool within = (emu::lane() & (width - 1)) >= static_cast<int>(by);
  return emu::exchange(mask, value, within ? emu::lane() - static_cast<int>(by) : emu::lane());
}

inline uint32_t __ballot_sync(uint32_t mask, bool predicate) {
  return emu::ballot(mask, predicate);
}
inline bool __any_sync(uint32_t mask, bool predicate) { return emu::ballot(mask, predicate) != 0; }
inline bool __all_sync(uint32_t mask, bool predicate) {
  return emu::ballot(mask, predicate) == emu::ballot(mask, true);
}

inline uint32_t __umulhi(uint32_t a, uint32_t b) {
  return static_cast<uint32_t>((static_cast<uint64_t>(a) * b) >> 32);
}
// Returns the position of the lowest set bit, from 1, or 0.
inline int __ffs(int x) { return __builtin_ffs(x); }
inline float __uint_as_float(uint32_t u) {
  float f;
  std::memcpy(&f, &u, 4);
  return f;
}
inline uint32_t __float_as_uint(float f) {
  uint32_t u;
  std::memcpy(&u, &f, 4);
  return u;
}
inline int __float_as_int(float f) { return static_cast<int>(__float_as_uint(f)); }
inline float __int_as_float(int i) { return __uint_as_float(static_cast<uint32_t>(i)); }
// Rounded operations that the compiler may not fuse.
float __fmul_rn(float a, float b);
float __fadd_rn(float a, float b);
float __fdiv_rn(float a, float b);
float __fsqrt_rn(float a);
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fdividef(float a, float b) { return a / b; }
template <class T>
inline T min(T a, T b) {
  return b < a ? b : a;
}
template <class T>
inline T max(T a, T b) {
  return a < b ? b : a;
}
