// A rectangle of a base weight in BF16: value·absmax in float32, rounded once, with the
// bits of bitsandbytes' dequantize (dense weights are copied: see copy.cu).
//
//   y[i][j] = codebook[code of e]·scale[e/block]    e = (row + i)·in + col + j
//
// A thread of the fast path decodes kSteps units of 8 weights, 4 bytes of codes each, so that a
// warp writes whole lines, 512 bytes of BF16 at once; 16 bytes of codes per thread would scatter
// its stores over 32 lines. The codebook is 16 floats of shared memory in 16 banks, free of
// conflicts. Nested scales are decoded once per unit; all lanes of a quantization block load the
// same address.
//
// A weight moves 0.5 bytes of codes, at most 4/64 of scales, and 2 written (BF16): 2.56 bytes, or
// 2.52 with nested scales. Floor: 0.85 ms per billion weights at 3 TB/s, where an H100 SM decodes 5
// weights per cycle: with some 10 instructions each (a lookup, a product, half a conversion, the
// rest addressing), 40 % of its issue slots, and 1 in 6 of its shared-memory lookups. 32 registers:
// full occupancy, 2048 threads per SM.
#include "kernels/entries.h"
#include "kernels/quantized.cuh"
#include "runtime/launch.h"

namespace {

constexpr int kThreads = 256;
constexpr int kSteps = 4;
constexpr int kEightShift = 3;  // log2(kEight)

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

// Indices count units of 8 and fit 32 bits for any weight. Without kColumns the rectangle is whole
// rows, one run of units.
template <bool kColumns>
__global__ void __launch_bounds__(kThreads) decode_eights(Decode d, bf16* y) {
  float* values = shared_memory<float>();
  share_codebook(values, d.kind);
  const auto row_units = static_cast<uint32_t>(d.cols / kEight);
  const auto units = static_cast<uint32_t>(d.rows) * row_units;
  const uint32_t begin = blockIdx.x * (kThreads * kSteps) + threadIdx.x;
  const auto first = static_cast<uint32_t>(d.first / kEight);
  uint32_t rows[kSteps] = {}, from[kSteps] = {}, words[kSteps] = {};
#pragma unroll
  for (int s = 0; s < kSteps; s++) {
    const uint32_t unit = begin + s * kThreads;
    from[s] = first + unit;
    if constexpr (kColumns) {
      rows[s] = unit / row_units;
      from[s] += rows[s] * static_cast<uint32_t>(d.in / kEight - row_units);
    }
    if (unit < units) words[s] = ptx::load32(d.codes + uint64_t{from[s]} * (kEight / 2));
  }
  float scales[kSteps] = {};
  d.scales.gather(scales, from, d.block_shift - kEightShift,
                  [&](int s) { return begin + s * kThreads < units; });
#pragma unroll
  for (int s = 0; s < kSteps; s++) {
    const uint32_t unit = begin + s * kThreads;
    if (unit >= units) break;
    Eight v;
#pragma unroll
    for (int i = 0; i < kEight; i++) {
      // The first element is the high half of the lowest byte.
      v.x[i] = __fmul_rn(values[words[s] >> (4 * (i ^ 1)) & 15], scales[s]);
    }
    int64_t to = int64_t{unit} * kEight;
    if constexpr (kColumns) to += rows[s] * (d.stride - d.cols);
    store8(y + to, v);
  }
}

__global__ void __launch_bounds__(kThreads) decode_elements(Decode d, bf16* y) {
  float* values = shared_memory<float>();
  share_codebook(values, d.kind);
  for (int64_t j = int64_t{blockIdx.x} * kThreads + threadIdx.x; j < d.rows * d.cols;
       j += int64_t{gridDim.x} * kThreads) {
    int64_t row = j / d.cols, col = j - row * d.cols, e = d.first + row * d.in + col;
    uint32_t code = d.codes[e / 2] >> (e % 2 == 0 ? 4 : 0) & 15;
    y[row * d.stride + col] =
        ptx::from_float<bf16>(__fmul_rn(values[code], d.scales.at(e / d.block)));
  }
}

constexpr int kShared = 16 * sizeof(float);
REGISTER_INSTANCE(decode_bf16, kThreads, kShared, decode_eights<false>);
REGISTER_INSTANCE(decode_bf16_columns, kThreads, kShared, decode_eights<true>);
REGISTER_INSTANCE(decode_bf16_elements, kThreads, kShared, decode_elements);

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
  if (op->y.dtype != QLORA_BF16) {
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
  if (d.cols == d.in && d.stride == d.in) {  // whole rows form one long row
    d.cols *= d.rows;
    d.rows = 1;
  }
  bool wide = !prefers(c, "elements") && d.block_shift >= 3 && d.in % kEight == 0 &&
              op->col % kEight == 0 && eights(op->y) &&
              reinterpret_cast<uintptr_t>(w.codes) % 4 == 0;
  const char* name = !wide         ? "decode_bf16_elements"
                     : d.rows == 1 ? "decode_bf16"
                                   : "decode_bf16_columns";
  auto* kernel = !wide ? decode_elements : d.rows == 1 ? decode_eights<false> : decode_eights<true>;
  dim3 grid(static_cast<uint32_t>(
      ceil_div(d.rows * d.cols, wide ? kThreads * kSteps * kEight : kThreads)));
  return launch(c, name, kernel, grid, dim3(kThreads), kShared, d, static_cast<bf16*>(op->y.data));
}
