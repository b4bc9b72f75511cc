// Double quantization: the scales of a matrix in 8 bits, by the rule of bitsandbytes' CUDA kernels:
//
//   offset = mean(absmax)      nested[b] = max |absmax - offset| over 256 scales
//   codes[i] = the code of (absmax[i] - offset)·(1/nested[i/256]), the reciprocal approximate
//
// The mean is summed in double, by 1024 threads each in order and then as a tree, and rounded once:
// except for rare ties that is the nearest float32, whatever order another library sums in.
//
// 4 bytes per scale are read twice and one is written, for a 64th of a matrix's elements, once,
// when a model is loaded: simplicity matters more than speed here.
#include "kernels/dynamic8.cuh"
#include "kernels/elements.cuh"
#include "kernels/entries.h"
#include "kernels/reduce.cuh"
#include "runtime/launch.h"

namespace {

constexpr int kMeanThreads = 1024;
constexpr int kMeanShared = kMeanThreads * sizeof(double);
constexpr int kBlock = 256;  // scales that share one, and threads
constexpr int kWarps = kBlock / 32;
constexpr int kShared = (kDynamicWords + kWarps) * sizeof(float);

__global__ void __launch_bounds__(kMeanThreads)
    mean_scale(const float* absmax, int64_t blocks, float* offset) {
  double* sums = shared_memory<double>();
  double sum = 0;
  for (int64_t i = threadIdx.x; i < blocks; i += kMeanThreads) sum += absmax[i];
  sums[threadIdx.x] = sum;
#pragma unroll
  for (uint32_t n = kMeanThreads / 2; n > 0; n /= 2) {
    __syncthreads();
    if (threadIdx.x < n) sums[threadIdx.x] += sums[threadIdx.x + n];
  }
  if (threadIdx.x == 0) *offset = static_cast<float>(sums[0] / static_cast<double>(blocks));
}
REGISTER_KERNEL(mean_scale, kMeanThreads, kMeanShared);

__global__ void __launch_bounds__(kBlock)
    nest_scales(const float* absmax, int64_t blocks, const float* map, const float* offset,
                uint8_t* codes, float* nested) {
  float* values = shared_memory<float>();
  float* largest = values + kDynamicWords;
  values[dynamic_place(threadIdx.x)] = map[threadIdx.x];
  const int64_t i = int64_t{blockIdx.x} * kBlock + threadIdx.x;
  const float x = i < blocks ? __fadd_rn(absmax[i], -*offset) : 0;
  float most = lanes_max<32>(fabsf(x));
  if (threadIdx.x % 32 == 0) largest[threadIdx.x / 32] = most;
  __syncthreads();
#pragma unroll
  for (int w = 0; w < kWarps; w++) most = fmaxf(most, largest[w]);
  if (threadIdx.x == 0) nested[blockIdx.x] = most;
  if (i >= blocks) return;
  codes[i] = static_cast<uint8_t>(dynamic_code(values, __fmul_rn(x, ptx::reciprocal(most))));
}
REGISTER_KERNEL(nest_scales, kBlock, kShared);

}  // namespace

int nest(qlora_context* c, const qlora_nest* op) {
  if (op->blocks == 0) return QLORA_OK;
  int status = launch(c, "mean_scale", mean_scale, dim3(1), dim3(kMeanThreads), kMeanShared,
                      op->absmax, op->blocks, op->offset);
  if (status != QLORA_OK) return status;
  return launch(c, "nest_scales", nest_scales,
                dim3(static_cast<uint32_t>(ceil_div(op->blocks, kBlock))), dim3(kBlock), kShared,
                op->absmax, op->blocks, op->map, op->offset, op->codes, op->nested);
}
