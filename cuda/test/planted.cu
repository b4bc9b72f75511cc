// Kernels with one bug each, and one without: the emulator must catch every bug under every
// schedule. Each kernel rotates 64 numbers by 33 places through shared memory.
#include "runtime/launch.h"
#include "test/planted.h"

namespace {

constexpr int kThreads = 64;
constexpr int kSharedBytes = 1024;
constexpr int kShift = 33;

__device__ int rotated(int i) { return (i + kShift) % kThreads; }

__global__ void right(const float* x, float* y) {
  float* s = shared_memory<float>();
  int i = static_cast<int>(threadIdx.x);
  s[i] = x[i];
  __syncthreads();
  y[i] = s[rotated(i)];
}

// The same through asynchronous copies, two stages, each used twice.
__global__ void right_pipeline(const float* x, float* y) {
  float* s = shared_memory<float>();
  int i = static_cast<int>(threadIdx.x);
  float sum = 0;
  ptx::copy_async<4>(&s[i], &x[i]);
  ptx::async_commit();
  for (int stage = 0; stage < 4; stage++) {
    if (stage < 3) ptx::copy_async<4>(&s[(stage + 1) % 2 * kThreads + i], &x[i]);
    ptx::async_commit();
    ptx::async_wait<1>();
    __syncthreads();
    sum += s[stage % 2 * kThreads + rotated(i)];
    __syncthreads();
  }
  ptx::async_wait<0>();
  y[i] = sum / 4;
}

__global__ void missing_barrier(const float* x, float* y) {
  float* s = shared_memory<float>();
  int i = static_cast<int>(threadIdx.x);
  s[i] = x[i];
  y[i] = s[rotated(i)];
}

// The first use is guarded; the next write does not wait until all have read.
__global__ void missing_barrier_before_reuse(const float* x, float* y) {
  float* s = shared_memory<float>();
  int i = static_cast<int>(threadIdx.x);
  float sum = 0;
  for (int round = 0; round < 2; round++) {
    s[i] = x[i];
    __syncthreads();
    sum += s[rotated(i)];
  }
  y[i] = sum / 2;
}

__global__ void missing_wait(const float* x, float* y) {
  float* s = shared_memory<float>();
  int i = static_cast<int>(threadIdx.x);
  ptx::copy_async<4>(&s[i], &x[i]);
  ptx::async_commit();
  __syncthreads();
  y[i] = s[rotated(i)];
  ptx::async_wait<0>();
}

// Waits for all groups but the last, which it needs.
__global__ void wait_for_too_few(const float* x, float* y) {
  float* s = shared_memory<float>();
  int i = static_cast<int>(threadIdx.x);
  ptx::async_commit();
  ptx::copy_async<4>(&s[i], &x[i]);
  ptx::async_commit();
  ptx::async_wait<1>();
  __syncthreads();
  y[i] = s[rotated(i)];
  ptx::async_wait<0>();
}

// A wait covers the thread's own copies: others' need a barrier after it.
__global__ void missing_barrier_after_wait(const float* x, float* y) {
  float* s = shared_memory<float>();
  int i = static_cast<int>(threadIdx.x);
  ptx::copy_async<4>(&s[i], &x[i]);
  ptx::async_commit();
  ptx::async_wait<0>();
  y[i] = s[rotated(i)];
}

__global__ void returns_with_copies(const float* x, float* y) {
  float* s = shared_memory<float>();
  int i = static_cast<int>(threadIdx.x);
  ptx::copy_async<4>(&s[i], &x[i]);
  ptx::async_commit();
  y[i] = x[rotated(i)];
}

__global__ void reads_beyond(const float* x, float* y) {
  int i = static_cast<int>(threadIdx.x);
  y[i] = x[i + 1];
}

__global__ void writes_beyond(const float* x, float* y) {
  int i = static_cast<int>(threadIdx.x);
  for (int j = i; j <= kThreads; j += kThreads) y[j] = x[i];
}

__global__ void copies_beyond(const float* x, float* y) {
  float* s = shared_memory<float>();
  int i = static_cast<int>(threadIdx.x);
  ptx::copy_async<16>(&s[4 * i], &x[4 * i]);
  ptx::async_commit();
  ptx::async_wait<0>();
  __syncthreads();
  y[i] = s[rotated(i)];
}

__global__ void misaligned(const float* x, float* y) {
  int i = static_cast<int>(threadIdx.x);
  if (i < 8) ptx::store128(&y[4 * i], ptx::load128(&x[4 * i + 1]));
}

__global__ void misaligned_ldmatrix(const float* x, float* y) {
  float* s = shared_memory<float>();
  int i = static_cast<int>(threadIdx.x);
  for (int j = i; j < 4 * kThreads; j += kThreads) s[j] = x[j % kThreads];
  __syncthreads();
  uint32_t r[4];
  ptx::ldmatrix(r, &s[4 * (i % 32) + (i % 32 == 5 ? 1 : 0)]);
  y[i] = ptx::low(r[0]);
}

__global__ void beyond_shared(const float* x, float* y) {
  float* s = shared_memory<float>();
  int i = static_cast<int>(threadIdx.x);
  s[4 * kThreads + i - 1] = x[i];
  __syncthreads();
  y[i] = s[4 * kThreads + rotated(i) - 1];
}

__global__ void uninitialized(const float* x, float* y) {
  float* s = shared_memory<float>();
  int i = static_cast<int>(threadIdx.x);
  if (i != 20) s[i] = x[i];
  __syncthreads();
  y[i] = s[rotated(i)];
}

__global__ void two_writers(const float* x, float* y) {
  float* s = shared_memory<float>();
  int i = static_cast<int>(threadIdx.x);
  s[i / 2] = x[i];
  __syncthreads();
  y[i] = s[rotated(i) / 2];
}

// Lanes of a warp are not in lockstep.
__global__ void missing_syncwarp(const float* x, float* y) {
  float* s = shared_memory<float>();
  int i = static_cast<int>(threadIdx.x);
  s[i] = x[i];
  y[i] = s[i ^ 1];
}

__global__ void barrier_of_some(const float* x, float* y) {
  float* s = shared_memory<float>();
  int i = static_cast<int>(threadIdx.x);
  s[i] = x[i];
  if (i < 32) {
    ptx::barrier_sync(1, 64);
  } else {
    ptx::barrier_sync(2, 64);
  }
  y[i] = s[rotated(i)];
}

__global__ void barrier_of_other_counts(const float* x, float* y) {
  int i = static_cast<int>(threadIdx.x);
  ptx::barrier_sync(1, i < 32 ? 64 : 32);
  y[i] = x[rotated(i)];
}

__global__ void shuffle_in_a_branch(const float* x, float* y) {
  int i = static_cast<int>(threadIdx.x);
  float v = x[i];
  if (i % 32 < 16) v = __shfl_xor_sync(0xffffffffu, v, 1);
  y[i] = v;
}

__global__ void different_operations(const float* x, float* y) {
  int i = static_cast<int>(threadIdx.x);
  float v = x[i];
  if (i % 32 < 16) {
    v = __shfl_xor_sync(0xffffffffu, v, 1);
  } else {
    __syncwarp();
  }
  y[i] = v;
}

// All lanes of a warp must be at one ldmatrix: half of each is at another here.
__global__ void divergent_ldmatrix(const float* x, float* y) {
  float* s = shared_memory<float>();
  int i = static_cast<int>(threadIdx.x);
  for (int j = i; j < 4 * kThreads; j += kThreads) s[j] = x[j % kThreads];
  __syncthreads();
  uint32_t r[4];
  if (i % 32 < 16) {
    ptx::ldmatrix(r, &s[4 * (i % 32)]);
  } else {
    ptx::ldmatrix(r, &s[4 * (i % 32)]);
  }
  y[i] = ptx::low(r[0]);
}

__global__ void divergent_mma(const float* x, float* y) {
  int i = static_cast<int>(threadIdx.x);
  float d[4] = {x[i]};
  if (i % 2 == 0) {
    ptx::mma(d, {0, 0, 0, 0}, {0, 0});
  } else {
    ptx::mma(d, {0, 0, 0, 0}, {0, 0});
  }
  y[i] = d[0];
}

__global__ void divergent_barrier(const float* x, float* y) {
  float* s = shared_memory<float>();
  int i = static_cast<int>(threadIdx.x);
  s[i] = x[i];
  if (i % 32 < 16) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  y[i] = s[rotated(i)];
}

// The halves of each warp are at barriers of 32 threads each, which would open.
__global__ void barriers_of_half_warps(const float* x, float* y) {
  float* s = shared_memory<float>();
  int i = static_cast<int>(threadIdx.x);
  s[i] = x[i];
  ptx::barrier_sync(1 + i % 32 / 16, 32);
  __syncthreads();
  y[i] = s[rotated(i)];
}

// Warps may be at different places of one barrier; only lanes of one may not.
__global__ void right_by_warps(const float* x, float* y) {
  float* s = shared_memory<float>();
  int i = static_cast<int>(threadIdx.x);
  s[i] = x[i];
  if (i < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  y[i] = s[rotated(i)];
}

__global__ void single_bytes(const float* x, float* y) {
  auto* s = shared_memory<unsigned char>();
  int i = static_cast<int>(threadIdx.x);
  s[i] = static_cast<unsigned char>(x[i]);
  __syncthreads();
  y[i] = s[rotated(i)];
}

// One lane's reads are followed by those of a whole other warp, one of which then writes.
__global__ void forgotten_reader(const float* x, float* y) {
  float* s = shared_memory<float>();
  int i = static_cast<int>(threadIdx.x);
  s[i] = x[i];
  __syncthreads();
  y[i] = s[rotated(i)];
  if (i >= 32) y[i] += s[0] - s[0];
  if (i == 0) y[i] += s[0] - s[0];
  __syncwarp();
  if (i == 63) s[0] = x[1];
}

// All blocks write one element: whichever comes last wins.
__global__ void blocks_race(const float* x, float* y) {
  int i = static_cast<int>(threadIdx.x);
  y[i] = x[i] + static_cast<float>(blockIdx.x);
}

__global__ void writes_an_input_of_others(const float* x, float* y) {
  int i = static_cast<int>(threadIdx.x);
  if (blockIdx.x == 0) {
    y[i] = x[i];
  } else {
    const_cast<float*>(x)[i] = y[i];
  }
}

__global__ void wild_pointer(const float* x, float* y) {
  int i = static_cast<int>(threadIdx.x);
  float* nowhere = reinterpret_cast<float*>(uintptr_t{4096});
  nowhere[i] = x[i];
  y[i] = nowhere[i];
}

REGISTER_KERNEL(right, kThreads, kSharedBytes);
REGISTER_KERNEL(right_pipeline, kThreads, kSharedBytes);
REGISTER_KERNEL(missing_barrier, kThreads, kSharedBytes);
REGISTER_KERNEL(missing_barrier_before_reuse, kThreads, kSharedBytes);
REGISTER_KERNEL(missing_wait, kThreads, kSharedBytes);
REGISTER_KERNEL(wait_for_too_few, kThreads, kSharedBytes);
REGISTER_KERNEL(missing_barrier_after_wait, kThreads, kSharedBytes);
REGISTER_KERNEL(returns_with_copies, kThreads, kSharedBytes);
REGISTER_KERNEL(reads_beyond, kThreads, kSharedBytes);
REGISTER_KERNEL(writes_beyond, kThreads, kSharedBytes);
REGISTER_KERNEL(copies_beyond, kThreads, kSharedBytes);
REGISTER_KERNEL(misaligned, kThreads, kSharedBytes);
REGISTER_KERNEL(misaligned_ldmatrix, kThreads, kSharedBytes);
REGISTER_KERNEL(beyond_shared, kThreads, kSharedBytes);
REGISTER_KERNEL(uninitialized, kThreads, kSharedBytes);
REGISTER_KERNEL(two_writers, kThreads, kSharedBytes);
REGISTER_KERNEL(missing_syncwarp, kThreads, kSharedBytes);
REGISTER_KERNEL(barrier_of_some, kThreads, kSharedBytes);
REGISTER_KERNEL(barrier_of_other_counts, kThreads, kSharedBytes);
REGISTER_KERNEL(shuffle_in_a_branch, kThreads, kSharedBytes);
REGISTER_KERNEL(different_operations, kThreads, kSharedBytes);
REGISTER_KERNEL(divergent_ldmatrix, kThreads, kSharedBytes);
REGISTER_KERNEL(divergent_mma, kThreads, kSharedBytes);
REGISTER_KERNEL(divergent_barrier, kThreads, kSharedBytes);
REGISTER_KERNEL(barriers_of_half_warps, kThreads, kSharedBytes);
REGISTER_KERNEL(right_by_warps, kThreads, kSharedBytes);
REGISTER_KERNEL(single_bytes, kThreads, kSharedBytes);
REGISTER_KERNEL(forgotten_reader, kThreads, kSharedBytes);
REGISTER_KERNEL(blocks_race, kThreads, kSharedBytes);
REGISTER_KERNEL(writes_an_input_of_others, kThreads, kSharedBytes);
REGISTER_KERNEL(wild_pointer, kThreads, kSharedBytes);

}  // namespace

const Planted* planted(int number) {
  static const Planted all[] = {
      {"right", right, 1, ""},
      {"right_pipeline", right_pipeline, 1, ""},
      {"missing_barrier", missing_barrier, 1, "shared +"},
      {"missing_barrier_before_reuse", missing_barrier_before_reuse, 1, "no barrier between"},
      {"missing_wait", missing_wait, 1, "is under way"},
      {"wait_for_too_few", wait_for_too_few, 1, "is under way"},
      {"missing_barrier_after_wait", missing_barrier_after_wait, 1, "shared +"},
      {"returns_with_copies", returns_with_copies, 1, "asynchronous copies"},
      {"reads_beyond", reads_beyond, 1, "reads 4 bytes at x + 256, which has 256"},
      {"writes_beyond", writes_beyond, 1, "writes 4 bytes at y + 256, which has 256"},
      {"copies_beyond", copies_beyond, 1, "which has 256"},
      {"misaligned", misaligned, 1, "no multiple of it"},
      {"misaligned_ldmatrix", misaligned_ldmatrix, 1, "misaligned"},
      {"beyond_shared", beyond_shared, 1, "of 1024"},
      {"uninitialized", uninitialized, 1, "at shared + 80, which nothing has written"},
      {"two_writers", two_writers, 1, "no barrier between"},
      {"missing_syncwarp", missing_syncwarp, 1, "shared +"},
      {"barrier_of_some", barrier_of_some, 1, "deadlock of 64 threads"},
      {"barrier_of_other_counts", barrier_of_other_counts, 1, "barrier 1"},
      {"shuffle_in_a_branch", shuffle_in_a_branch, 1, "a shuffle"},
      {"different_operations", different_operations, 1, "wait in"},
      {"divergent_ldmatrix", divergent_ldmatrix, 1, "ldmatrix at planted.cu:"},
      {"divergent_mma", divergent_mma, 1, "mma at planted.cu:"},
      {"divergent_barrier", divergent_barrier, 1, "comes to barrier 0 at planted.cu:"},
      {"barriers_of_half_warps", barriers_of_half_warps, 1, "other lanes of its warp"},
      {"right_by_warps", right_by_warps, 1, ""},
      {"single_bytes", single_bytes, 1, "a single byte at shared"},
      {"forgotten_reader", forgotten_reader, 1, "no barrier between"},
      {"blocks_race", blocks_race, 3, "of the same launch"},
      {"writes_an_input_of_others", writes_an_input_of_others, 2, "of the same launch"},
      {"wild_pointer", wild_pointer, 1, "writes 4 bytes"},
  };
  return number < static_cast<int>(sizeof all / sizeof all[0]) ? &all[number] : nullptr;
}
