// 4-bit codes and scales of a matrix, by the rule of bitsandbytes' CUDA kernels:
//
//   absmax[b] = max |x| over the block     code = Q(x·(1/absmax[b])), the reciprocal approximate
//
// where Q compares with the thresholds between codes: beyond one the upper code, on it the lower. A
// block of zeros has codes of 0 (its reciprocal is infinite, and 0 times that is NaN); NaN has code
// 0 and does not affect the scale. Element 2i is the high half of byte i; an unused last half is 0.
// x is F32, BF16 or F16, flat; blocks are any even number of elements.
//
// A group of 4 to 32 lanes quantizes a block, 8 elements per lane; thresholds are found by
// bisection in 16 floats of shared memory, each in its own bank. It reads 2 or 4 bytes per element
// and writes half a byte and its share of a scale: memory-bound, and it runs once, when a model is
// loaded.
#include "kernels/elements.cuh"
#include "kernels/entries.h"
#include "kernels/reduce.cuh"
#include "runtime/launch.h"

namespace {

constexpr int kThreads = 256;
constexpr int kShared = 16 * sizeof(float);

// Thresholds between adjacent codes of NF4; of FP4 between ascending magnitudes, from 8 on.
__device__ const float kThresholds[2][16] = {
    {-0.8480964004993439f, -0.6106329262256622f, -0.4599952697753906f, -0.33967943489551544f,
     -0.23460740596055984f, -0.13791173323988914f, -0.045525018125772476f, 0.03979014977812767f,
     0.1202552504837513f, 0.2035212516784668f, 0.2920137718319893f, 0.3893125355243683f,
     0.5016634166240692f, 0.6427869200706482f, 0.8614784181118011f},
    {0.00260417f, 0.0859375f, 0.20833333f, 0.29166667f, 0.4166667f, 0.583333f, 0.8333333f},
};

// FP4's codes by their magnitude: 0, 1, 6, 7, 4, 5, 2, 3.
constexpr uint32_t kMagnitudes = 0x32547610;

struct Quantize {
  AnyVector x;
  int64_t n;
  int kind, block;
  uint8_t* codes;
  float* absmax;
};

// Returns the code of x in [-1, 1].
__device__ __forceinline__ uint32_t code_of(const float* thresholds, int kind, float x) {
  uint32_t rank = 0;
  if (kind == QLORA_NF4) {
    rank = x > thresholds[7] ? 8 : 0;
    rank += x > thresholds[rank + 3] ? 4 : 0;
    rank += x > thresholds[rank + 1] ? 2 : 0;
    return rank + (x > thresholds[rank] ? 1 : 0);
  }
  const float size = fabsf(x);
  rank = size > thresholds[3] ? 4 : 0;
  rank += size > thresholds[rank + 1] ? 2 : 0;
  rank += size > thresholds[rank] ? 1 : 0;
  return (kMagnitudes >> (4 * rank) & 7) + (x < 0 ? 8 : 0);
}

__device__ __forceinline__ const float* share_thresholds(int kind) {
  float* shared = shared_memory<float>();
  if (threadIdx.x < 16) shared[threadIdx.x] = kThresholds[kind][threadIdx.x];
  __syncthreads();
  return shared;
}

// kLanes lanes quantize a block, which is whole units of 8 for each of them.
template <int kLanes>
__global__ void __launch_bounds__(kThreads, 4) quantize_eights(Quantize q) {
  const float* thresholds = share_thresholds(q.kind);
  const int lane = threadIdx.x % kLanes;
  const int64_t b = int64_t{blockIdx.x} * (kThreads / kLanes) + threadIdx.x / kLanes;
  const int64_t begin = b * q.block;
  const int64_t end = min(begin + q.block, q.n / kEight * kEight);  // of whole units
  float most = 0;
  for (int64_t i = begin + lane * kEight; i < end; i += kLanes * kEight) {
    Eight e = q.x.eight(i);
#pragma unroll
    for (int j = 0; j < kEight; j++) most = fmaxf(most, fabsf(e.x[j]));
  }
  const bool last = begin < q.n && begin + q.block >= q.n;
  for (int64_t i = q.n / kEight * kEight + lane; last && i < q.n; i += kLanes) {
    most = fmaxf(most, fabsf(q.x.one(i)));  // after the last unit
  }
  most = lanes_max<kLanes>(most);
  if (begin >= q.n) return;
  if (lane == 0) q.absmax[b] = most;
  const float inverse = ptx::reciprocal(most);
  for (int64_t i = begin + lane * kEight; i < end; i += kLanes * kEight) {
    Eight e = q.x.eight(i);
    uint32_t word = 0;
#pragma unroll
    for (int j = 0; j < kEight; j++) {  // the first element is the high half of the lowest byte
      word |= code_of(thresholds, q.kind, __fmul_rn(e.x[j], inverse)) << (4 * (j ^ 1));
    }
    ptx::store32(q.codes + i / 2, word);
  }
  if (!last) return;
  for (int64_t i = q.n / kEight * kEight + 2 * lane; i < q.n; i += 2 * kLanes) {
    float second = i + 1 < q.n ? q.x.one(i + 1) : 0;
    q.codes[i / 2] =
        static_cast<uint8_t>(code_of(thresholds, q.kind, __fmul_rn(q.x.one(i), inverse)) << 4 |
                             code_of(thresholds, q.kind, __fmul_rn(second, inverse)));
  }
}
REGISTER_INSTANCE(quantize_4, kThreads, kShared, quantize_eights<4>);
REGISTER_INSTANCE(quantize_8, kThreads, kShared, quantize_eights<8>);
REGISTER_INSTANCE(quantize_16, kThreads, kShared, quantize_eights<16>);
REGISTER_INSTANCE(quantize_32, kThreads, kShared, quantize_eights<32>);

// Any block size, one warp per block, byte by byte.
__global__ void __launch_bounds__(kThreads) quantize_bytes(Quantize q) {
  const float* thresholds = share_thresholds(q.kind);
  const int lane = threadIdx.x % 32;
  const int64_t b = int64_t{blockIdx.x} * (kThreads / 32) + threadIdx.x / 32;
  const int64_t begin = b * q.block, end = min(begin + q.block, q.n);
  float most = 0;
  for (int64_t i = begin + lane; i < end; i += 32) most = fmaxf(most, fabsf(q.x.one(i)));
  most = lanes_max<32>(most);
  if (begin >= q.n) return;
  if (lane == 0) q.absmax[b] = most;
  const float inverse = ptx::reciprocal(most);
  for (int64_t i = begin + 2 * lane; i < end; i += 64) {
    float second = i + 1 < q.n ? q.x.one(i + 1) : 0;
    q.codes[i / 2] =
        static_cast<uint8_t>(code_of(thresholds, q.kind, __fmul_rn(q.x.one(i), inverse)) << 4 |
                             code_of(thresholds, q.kind, __fmul_rn(second, inverse)));
  }
}
REGISTER_KERNEL(quantize_bytes, kThreads, kShared);

}  // namespace

int quantize(qlora_context* c, const qlora_quantize* op) {
  Quantize q{any(op->x), op->x.rows * op->x.cols, op->kind, op->block, op->codes, op->absmax};
  if (q.n == 0) return QLORA_OK;
  if (q.block <= 0 || q.block % 2 != 0) {
    return fail(c, QLORA_UNSUPPORTED, "quantize: blocks of %d", q.block);
  }
  const int64_t blocks = ceil_div(q.n, q.block);
  auto grid = [&](int lanes) {
    return dim3(static_cast<uint32_t>(ceil_div(blocks, kThreads / lanes)));
  };
  const bool wide = reinterpret_cast<uintptr_t>(op->x.data) % 16 == 0 &&
                    reinterpret_cast<uintptr_t>(op->codes) % 4 == 0;
  if (wide && q.block % 256 == 0) {
    return launch(c, "quantize_32", quantize_eights<32>, grid(32), dim3(kThreads), kShared, q);
  }
  if (wide && q.block == 128) {
    return launch(c, "quantize_16", quantize_eights<16>, grid(16), dim3(kThreads), kShared, q);
  }
  if (wide && q.block == 64) {
    return launch(c, "quantize_8", quantize_eights<8>, grid(8), dim3(kThreads), kShared, q);
  }
  if (wide && q.block == 32) {
    return launch(c, "quantize_4", quantize_eights<4>, grid(4), dim3(kThreads), kShared, q);
  }
  return launch(c, "quantize_bytes", quantize_bytes, grid(32), dim3(kThreads), kShared, q);
}
