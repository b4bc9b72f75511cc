// Kernels with the faults that cuda/check must find. record.sh stores cuobjdump's output for tests
// on machines without nvcc.
#include <cstdint>

// Correct: 16 bytes at a time.
extern "C" __global__ void __launch_bounds__(256) good(const uint4* x, uint4* y) {
  int i = blockIdx.x * 256 + threadIdx.x;
  uint4 v = x[i];
  v.x ^= 1;
  y[i] = v;
}

// Missing instructions: 4 bytes at a time.
extern "C" __global__ void __launch_bounds__(256) narrow(const uint32_t* x, uint32_t* y) {
  int i = blockIdx.x * 256 + threadIdx.x;
  y[i] = x[i] ^ 1;
}

// A spill: 72 sums in registers, but a block of 1024 threads allows only 64.
extern "C" __global__ void __launch_bounds__(1024) spill(const float4* x, float4* y, int n) {
  float4 sums[18] = {};
#pragma unroll 1
  for (int i = 0; i < n; i++) {
#pragma unroll
    for (int j = 0; j < 18; j++) {
      float4 v = x[(i * 18 + j) * 1024 + threadIdx.x];
      sums[j].x += v.x * sums[(j + 1) % 18].y;
      sums[j].y += v.y * sums[(j + 5) % 18].z;
      sums[j].z += v.z * sums[(j + 7) % 18].w;
      sums[j].w += v.w * sums[(j + 11) % 18].x;
    }
  }
#pragma unroll
  for (int j = 0; j < 18; j++) y[j * 1024 + threadIdx.x] = sums[j];
}

// A stack without a spill: an array with a data-dependent index.
extern "C" __global__ void __launch_bounds__(256) indexed(const uint4* x, uint4* y, int n) {
  uint4 last[16] = {};
#pragma unroll 1
  for (int i = 0; i < n; i++) {
    uint4 v = x[i * 256 + threadIdx.x];
    last[v.x & 15] = v;
  }
  y[threadIdx.x] = last[n & 15];
}

// Shared memory: 48 KiB static, and more at launch than some targets have.
extern "C" __global__ void __launch_bounds__(256) shared(const uint4* x, uint4* y) {
  extern __shared__ uint4 dynamic[];
  __shared__ uint4 own[3072];
  dynamic[threadIdx.x] = x[threadIdx.x];
  own[threadIdx.x] = x[threadIdx.x + 256];
  __syncthreads();
  y[threadIdx.x] = dynamic[255 - threadIdx.x];
  y[threadIdx.x + 256] = own[255 - threadIdx.x];
}

// Registers: so many that a block of 512 threads does not fit.
extern "C" __global__ void __launch_bounds__(256) heavy(const float4* x, float4* y, int n) {
  float4 sums[33] = {};
#pragma unroll 1
  for (int i = 0; i < n; i++) {
#pragma unroll
    for (int j = 0; j < 33; j++) {
      float4 v = x[(i * 33 + j) * 256 + threadIdx.x];
      sums[j].x += v.x, sums[j].y += v.y, sums[j].z += v.z, sums[j].w += v.w;
    }
  }
#pragma unroll
  for (int j = 0; j < 33; j++) y[j * 256 + threadIdx.x] = sums[j];
}

// Code for one target is missing.
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ != 890
extern "C" __global__ void __launch_bounds__(256) partial(const uint4* x, uint4* y) {
  y[threadIdx.x] = x[threadIdx.x];
}
#endif
