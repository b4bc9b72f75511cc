// A rectangle of a base weight in BF16 or F32: value·absmax in float32, rounded once, with the
// bits of bitsandbytes' dequantize (dense weights are copied: see copy.cu).
//
//   y[i][j] = codebook[code of e]·scale[e/block]    e = (row + i)·in + col + j
//
// A thread of the fast path takes kSteps units of 8 weights, 4 bytes of codes each: so a warp
// writes whole lines, 512 bytes of BF16 at once, where 16 bytes of codes a thread would scatter
// its stores over 32 lines. The codebook is 16 floats of shared memory in 16 banks: lanes that
// read different values never meet in one. Nested scales are decoded once a unit; their loads are
// one address for all lanes of a block.
//
// A weight costs 0.5 bytes of codes, at most 4/64 of scales, and 2 written (BF16): 2.56 bytes, or
// 2.52 with nested scales, and about 4 instructions. Floor: 2.56 bytes over the bandwidth, 0.85 ms
// for each billion weights at 3 TB/s, 1,170 weights a nanosecond; a processor of an H100 does that
// with one lookup in 6 of the cycles that shared memory has.
#include "kernels/entries.h"
#include "kernels/quantized.cuh"
#include "runtime/launch.h"

namespace {

constexpr int kThreads = 256;
constexpr int kSteps = 4;

struct Decode {
  const uint8_t* codes;
  Scales scales;
  int kind, block, block_shift;
  int64_t first, in;  // element (0, 0) of y in the weight, and elements from row to row
  int64_t rows, cols, stride;
};

__device__ void share_codebook(float* shared, int kind) {
  if (threadIdx.x < 16) shared[threadIdx.x] = kCodebooks[kind][threadIdx.x];
  __syncthreads();
}

template <class T>
__device__ __forceinline__ void decode_eights(const Decode& d, T* y) {
  float* values = shared_memory<float>();
  share_codebook(values, d.kind);
  const int64_t row_units = d.cols / kEight, units = d.rows * row_units;
  const int64_t begin = int64_t{blockIdx.x} * kThreads * kSteps + threadIdx.x;
  uint32_t words[kSteps];
  float scale[kSteps];
  int64_t to[kSteps];
#pragma unroll
  for (int s = 0; s < kSteps; s++) {
    int64_t unit = begin + s * kThreads, row = 0;
    if (unit >= units) break;
    if (d.rows > 1) {
      row = unit / row_units;
      unit -= row * row_units;
    }
    int64_t e = d.first + row * d.in + unit * kEight;
    words[s] = ptx::load32(d.codes + e / 2);
    scale[s] = d.scales.at(e >> d.block_shift);
    to[s] = row * d.stride + unit * kEight;
  }
#pragma unroll
  for (int s = 0; s < kSteps; s++) {
    if (begin + s * kThreads >= units) break;
    Eight v;
#pragma unroll
    for (int i = 0; i < kEight; i++) {
      // The first element is the high half of the lowest byte.
      v.x[i] = __fmul_rn(values[words[s] >> (4 * (i ^ 1)) & 15], scale[s]);
    }
    store8(y + to[s], v);
  }
}

template <class T>
__device__ __forceinline__ void decode_elements(const Decode& d, T* y) {
  float* values = shared_memory<float>();
  share_codebook(values, d.kind);
  for (int64_t j = int64_t{blockIdx.x} * kThreads + threadIdx.x; j < d.rows * d.cols;
       j += int64_t{gridDim.x} * kThreads) {
    int64_t row = j / d.cols, col = j - row * d.cols, e = d.first + row * d.in + col;
    uint32_t code = d.codes[e / 2] >> (e % 2 == 0 ? 4 : 0) & 15;
    y[row * d.stride + col] = ptx::from_float<T>(__fmul_rn(values[code], d.scales.at(e / d.block)));
  }
}

__global__ void __launch_bounds__(kThreads) decode_bf16(Decode d, bf16* y) { decode_eights(d, y); }
__global__ void __launch_bounds__(kThreads) decode_f32(Decode d, float* y) { decode_eights(d, y); }
__global__ void __launch_bounds__(kThreads) decode_bf16_elements(Decode d, bf16* y) {
  decode_elements(d, y);
}
__global__ void __launch_bounds__(kThreads) decode_f32_elements(Decode d, float* y) {
  decode_elements(d, y);
}
constexpr int kShared = 16 * sizeof(float);
REGISTER_KERNEL(decode_bf16, kThreads, kShared);
REGISTER_KERNEL(decode_f32, kThreads, kShared);
REGISTER_KERNEL(decode_bf16_elements, kThreads, kShared);
REGISTER_KERNEL(decode_f32_elements, kThreads, kShared);

int decode_dense(qlora_context* c, const qlora_decode* op) {
  qlora_tensor part = op->weight.dense;
  int64_t size = part.dtype == QLORA_F32 ? 4 : 2;
  part.data = static_cast<char*>(part.data) + (op->row * part.stride + op->col) * size;
  part.rows = op->y.rows;
  part.cols = op->y.cols;
  qlora_copy rectangle{op->y, part};
  return copy(c, &rectangle);
}

}  // namespace

int decode(qlora_context* c, const qlora_decode* op) {
  const qlora_weight& w = op->weight;
  if (op->y.dtype != QLORA_BF16 && op->y.dtype != QLORA_F32) {
    return fail(c, QLORA_UNSUPPORTED, "decode: to element type %d", op->y.dtype);
  }
  if (op->y.rows * op->y.cols == 0) return QLORA_OK;
  if (w.dense.data != nullptr) return decode_dense(c, op);
  if (!known_scales(w)) {
    return fail(c, QLORA_UNSUPPORTED, "decode: %d scales share a nested one", w.nested_block);
  }
  Decode d{
      w.codes, scales_of(w), w.kind,     w.block,     shift_of(w.block), op->row * w.in + op->col,
      w.in,    op->y.rows,   op->y.cols, op->y.stride};
  if (d.cols == d.in && d.stride == d.in) {  // whole rows: one long one
    d.cols *= d.rows;
    d.rows = 1;
  }
  bool wide = d.block_shift >= 3 && d.in % kEight == 0 && op->col % kEight == 0 && eights(op->y) &&
              reinterpret_cast<uintptr_t>(w.codes) % 4 == 0;
  int64_t each = wide ? kThreads * kSteps * kEight : kThreads;
  dim3 grid(static_cast<uint32_t>(ceil_div(d.rows * d.cols, each)));
  if (op->y.dtype == QLORA_BF16) {
    auto* y = static_cast<bf16*>(op->y.data);
    return wide ? launch(c, "decode_bf16", decode_bf16, grid, dim3(kThreads), kShared, d, y)
                : launch(c, "decode_bf16_elements", decode_bf16_elements, grid, dim3(kThreads),
                         kShared, d, y);
  }
  auto* y = static_cast<float*>(op->y.data);
  return wide ? launch(c, "decode_f32", decode_f32, grid, dim3(kThreads), kShared, d, y)
              : launch(c, "decode_f32_elements", decode_f32_elements, grid, dim3(kThreads), kShared,
                       d, y);
}
