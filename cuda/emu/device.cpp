// The functions of device.h and access.h, which a kernel calls on its block.
#include "emu/device.h"

#include "emu/access.h"
#include "emu/block.h"

namespace emu {

Index thread_index() { return current()->thread().index; }
Index block_index() { return current()->index(); }
Index block_size() {
  dim3 d = current()->launch().block;
  return {d.x, d.y, d.z};
}
Index grid_size() {
  dim3 d = current()->launch().grid;
  return {d.x, d.y, d.z};
}
void* shared() { return current()->shared(); }
void barrier(int id, int threads, bool wait, Place at) {
  current()->barrier(id, threads, wait, at);
}

void warp_barrier(uint32_t mask) { current()->meet(mask, "__syncwarp", nullptr, nullptr, true); }

namespace {

struct Shuffle {
  uint32_t value, result;
  int from;
};

struct Ballot {
  bool predicate;
  uint32_t result;
};

constexpr uint32_t kPoison = 0xffffffff;

}  // namespace

uint32_t shuffle(uint32_t mask, uint32_t value, int from) {
  Shuffle me{value, 0, from & 31};
  current()->meet(
      mask, "a shuffle", &me,
      [](void* const* lanes, uint32_t mask) {
        for (int l = 0; l < 32; l++) {
          if ((mask >> l & 1) == 0) continue;
          auto* s = static_cast<Shuffle*>(lanes[l]);
          const auto* of = static_cast<const Shuffle*>(lanes[s->from]);
          s->result = of == nullptr ? kPoison : of->value;
        }
      },
      false);
  return me.result;
}

uint32_t ballot(uint32_t mask, bool predicate) {
  Ballot me{predicate, 0};
  current()->meet(
      mask, "a vote", &me,
      [](void* const* lanes, uint32_t mask) {
        uint32_t bits = 0;
        for (int l = 0; l < 32; l++) {
          if (mask >> l & 1 && static_cast<Ballot*>(lanes[l])->predicate) bits |= 1u << l;
        }
        for (int l = 0; l < 32; l++) {
          if (mask >> l & 1) static_cast<Ballot*>(lanes[l])->result = bits;
        }
      },
      false);
  return me.result;
}

namespace {

template <class T>
T load(const void* from, const void* code) {
  current()->check(from, sizeof(T), Access::read, code);
  T x;
  std::memcpy(&x, from, sizeof x);
  return x;
}

template <class T>
void store(void* to, const T& x, const void* code) {
  current()->check(to, sizeof(T), Access::write, code);
  std::memcpy(to, &x, sizeof x);
}

}  // namespace

// The instruction is the kernel's call.
#define CODE __builtin_return_address(0)
uint4 load128(const void* from) { return load<uint4>(from, CODE); }
uint2 load64(const void* from) { return load<uint2>(from, CODE); }
uint32_t load32(const void* from) { return load<uint32_t>(from, CODE); }
void store128(void* to, uint4 x) { store(to, x, CODE); }
void store64(void* to, uint2 x) { store(to, x, CODE); }
void store32(void* to, uint32_t x) { store(to, x, CODE); }

void copy_async(void* shared, const void* from, int size, int bytes) {
  current()->copy_async(shared, from, size, bytes, CODE);
}
void async_commit() { current()->async_commit(); }
void async_wait(int pending) { current()->async_wait(pending); }

float __attribute__((noinline)) half_to_float(uint16_t h) {
  uint32_t sign = static_cast<uint32_t>(h & 0x8000) << 16, exponent = h >> 10 & 31;
  uint32_t mantissa = h & 0x3ff;
  if (exponent == 31) return __uint_as_float(sign | 0x7f800000 | mantissa << 13);
  if (exponent == 0) {
    float f = std::ldexp(static_cast<float>(mantissa), -24);
    return sign != 0 ? -f : f;
  }
  return __uint_as_float(sign | (exponent + 112) << 23 | mantissa << 13);
}

uint16_t float_to_half(float f) {
  uint32_t u = __float_as_uint(f), magnitude = u & 0x7fffffff;
  auto sign = static_cast<uint16_t>(u >> 16 & 0x8000);
  if (magnitude > 0x7f800000) return 0x7fff;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;  // rounds to infinity
  if (magnitude < 0x38800000) {                       // below the normal numbers: units of 2^-24
    double units = std::nearbyint(std::ldexp(static_cast<double>(__uint_as_float(magnitude)), 24));
    return sign | static_cast<uint16_t>(units);
  }
  uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
  return sign | static_cast<uint16_t>((rounded - 0x38000000) >> 13);
}

}  // namespace emu

float __fmul_rn(float a, float b) { return a * b; }
float __fadd_rn(float a, float b) { return a + b; }
float __fdiv_rn(float a, float b) { return a / b; }
float __fsqrt_rn(float a) { return std::sqrt(a); }
