// Kernels of known traffic: the emulator must count it. Two warps read 64 numbers and write 64.
#include "runtime/launch.h"
#include "test/planted.h"

namespace {

constexpr int kThreads = 64;
constexpr int kSharedBytes = 1024;

__global__ void side_by_side(const float* x, float* y) {
  float* s = shared_memory<float>();
  int i = static_cast<int>(threadIdx.x);
  s[i] = x[i];
  __syncthreads();
  y[i] = s[i];
}

// The words of a warp are 8 apart: 8 lanes meet in each of 4 banks.
__global__ void bank_conflicts(const float* x, float* y) {
  float* s = shared_memory<float>();
  int i = static_cast<int>(threadIdx.x), at = 8 * (i % 32) + i / 32;
  s[at] = x[i];
  __syncthreads();
  y[i] = s[at];
}

// All lanes read one word, at once.
__global__ void broadcast(const float* x, float* y) {
  float* s = shared_memory<float>();
  int i = static_cast<int>(threadIdx.x);
  s[i] = x[i];
  __syncthreads();
  y[i] = s[5];
}

// Eight lanes access 128 bytes at once.
__global__ void wide(const float* x, float* y) {
  float* s = shared_memory<float>();
  int i = static_cast<int>(threadIdx.x);
  if (i < 16) ptx::store128(&s[4 * i], ptx::load128(&x[4 * i]));
  __syncthreads();
  if (i < 16) ptx::store128(&y[4 * i], ptx::load128(&s[4 * i]));
}

// Copies of cp.async access both memories.
__global__ void copies(const float* x, float* y) {
  float* s = shared_memory<float>();
  int i = static_cast<int>(threadIdx.x);
  if (i < 16) ptx::copy_async<16>(&s[4 * i], &x[4 * i]);
  ptx::async_commit();
  ptx::async_wait<0>();
  __syncthreads();
  y[i] = s[i];
}

// Rows of 64 bytes: 4 of the 8 of each matrix meet in a bank.
__global__ void conflicts_of_ldmatrix(const float* x, float* y) {
  float* s = shared_memory<float>();
  int i = static_cast<int>(threadIdx.x);
  float v = x[i];
  s[i] = v;
  s[i + kThreads] = v;
  __syncthreads();
  uint32_t r[4] = {};
  if (i < 32) ptx::ldmatrix(r, &s[16 * (i % 8) + 4 * (i / 8)]);
  y[i] = ptx::low(r[0]);
}

// The 128 bytes of a warp lie in 8 sectors, a half of each.
__global__ void scattered(const float* x, float* y) {
  int i = static_cast<int>(threadIdx.x);
  y[i] = x[i % 8 * 8 + i / 8];
}

// Turns of a loop are accesses of their own.
__global__ void in_turns(const float* x, float* y) {
  float* s = shared_memory<float>();
  int i = static_cast<int>(threadIdx.x);
#pragma GCC unroll 1
  for (int j = 0; j < 4; j++) s[j * kThreads + i] = x[i];
  __syncthreads();
  y[i] = s[i];
}

REGISTER_KERNEL(side_by_side, kThreads, kSharedBytes);
REGISTER_KERNEL(bank_conflicts, kThreads, kSharedBytes);
REGISTER_KERNEL(broadcast, kThreads, kSharedBytes);
REGISTER_KERNEL(wide, kThreads, kSharedBytes);
REGISTER_KERNEL(copies, kThreads, kSharedBytes);
REGISTER_KERNEL(conflicts_of_ldmatrix, kThreads, kSharedBytes);
REGISTER_KERNEL(scattered, kThreads, kSharedBytes);
REGISTER_KERNEL(in_turns, kThreads, kSharedBytes);

}  // namespace

const Counted* counted(int number) {
  static const Counted all[] = {
      {"side_by_side", side_by_side, 4, 4, 16, 16},
      {"bank_conflicts", bank_conflicts, 32, 4, 16, 16},
      {"broadcast", broadcast, 4, 4, 16, 16},
      {"wide", wide, 4, 4, 16, 16},
      {"copies", copies, 4, 4, 16, 16},
      {"conflicts_of_ldmatrix", conflicts_of_ldmatrix, 20, 8, 16, 16},
      {"scattered", scattered, 0, 0, 24, 16},
      {"in_turns", in_turns, 10, 10, 40, 40},
  };
  return number < static_cast<int>(sizeof all / sizeof all[0]) ? &all[number] : nullptr;
}
