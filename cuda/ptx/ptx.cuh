// Everything below CUDA C++: each function is one PTX instruction (or a short fixed sequence),
// typed. Kernels contain no inline assembly of their own. nvidia.cuh defines these functions for
// nvcc; emulated.h defines the same ones for the emulator.
#pragma once

#include <cstdint>

// PTX_PLACE is a last parameter of instructions that all lanes of a warp execute together (.aligned):
// the emulator checks that they do so at one place in the source.
#ifdef __CUDACC__
#include <cuda_runtime.h>
#define PTX_PLACE
#else
#include "emu/device.h"
#define PTX_PLACE , emu::Place at = emu::Place::here()
#endif

// bfloat16 and IEEE half as stored in memory.
struct bf16 {
  uint16_t bits;
};
struct f16 {
  uint16_t bits;
};

namespace ptx {

// ---- conversion -----------------------------------------------------------------------------

__device__ float to_float(bf16 x);
__device__ float to_float(f16 x);
__device__ float to_float(float x);

// Round to nearest even; NaN stays NaN.
template <class T>
__device__ __forceinline__ T from_float(float x);

// Two bfloat16 in one register; low has the lower address.
__device__ uint32_t pack(float low, float high);
__device__ float low(uint32_t pair);
__device__ float high(uint32_t pair);

// ---- arithmetic -----------------------------------------------------------------------------

// 2^x (0 below 2^-126) and 1/sqrt(x), within 2 ulp; the emulator rounds to nearest.
__device__ float exp2(float x);
__device__ float rsqrt(float x);
// 1/x within 1 ulp, infinity for subnormal x; the emulator rounds to nearest.
__device__ float reciprocal(float x);

// Returns the bytes of {a (0-3), b (4-7)} selected by the four low nibbles of selector.
__device__ uint32_t permute(uint32_t a, uint32_t b, uint32_t selector);

// ---- memory ---------------------------------------------------------------------------------

// 16 bytes at once; the address is a multiple of 16. load128_once does not allocate in L1.
__device__ uint4 load128(const void* from);
__device__ uint4 load128_once(const void* from);
__device__ void store128(void* to, uint4 x);
// 8 and 4 bytes at once.
__device__ uint2 load64(const void* from);
__device__ void store64(void* to, uint2 x);
__device__ uint32_t load32(const void* from);
__device__ void store32(void* to, uint32_t x);

// Returns the same pointer, declared to point to global memory: the compiler cannot infer that for
// pointers loaded from memory.
template <class T>
__device__ __forceinline__ T* global(T* p);

// Returns a pointer into shared memory with these bits of its address inverted.
template <class T>
__device__ __forceinline__ T* flipped(T* p, uint32_t bits);

// Copies 16 (or 8, or 4) bytes from global to shared memory in the background: the first `bytes`
// come from `from`, the rest are zeros; with 0 nothing is read. Both addresses are multiples of 16
// (8, 4). The same thread may read the copy after async_wait, others after a subsequent barrier.
template <int Size>
__device__ __forceinline__ void copy_async(void* shared, const void* from, int bytes = Size);
// Commits this thread's copies since the last commit as a group.
__device__ void async_commit();
// Waits until at most Pending of this thread's groups are in flight.
template <int Pending>
__device__ __forceinline__ void async_wait();

// Loads 8x8 matrices of 16-bit elements from shared memory, by all 32 lanes: lane 8m+i passes the
// address of row i (16 bytes, aligned) of matrix m. Register m of lane l then holds elements
// 2·(l%4) and 2·(l%4)+1 of row l/4; transposed: rows 2·(l%4) and +1 of column l/4.
__device__ void ldmatrix(uint32_t (&r)[4], const void* row PTX_PLACE);
__device__ void ldmatrix(uint32_t (&r)[2], const void* row PTX_PLACE);
__device__ void ldmatrix_transposed(uint32_t (&r)[4], const void* row PTX_PLACE);
__device__ void ldmatrix_transposed(uint32_t (&r)[2], const void* row PTX_PLACE);

// ---- tensor cores ---------------------------------------------------------------------------

// d += a·b of a [16, 16] and b [16, 8] in bfloat16, sums in float32, by all 32 lanes. With
// g = lane/4 and t = lane%4, a[i] holds row g + 8·(i%2), columns 2t + 8·(i/2) and +1; b[i] rows
// 2t + 8·i and +1 of column g; d[i] row g + 8·(i/2), column 2t + i%2.
__device__ void mma(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2] PTX_PLACE);

// ---- barriers -------------------------------------------------------------------------------

// A barrier of `threads` threads (whole warps) of the block; id is 1 to 15.
__device__ void barrier_sync(int id, int threads PTX_PLACE);
__device__ void barrier_arrive(int id, int threads PTX_PLACE);

}  // namespace ptx

#ifdef __CUDACC__
#include "ptx/nvidia.cuh"
#else
#include "ptx/emulated.h"
#endif
