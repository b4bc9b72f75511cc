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
// A launch decodes parts of up to QLORA_PARTS weights, each by blocks of its own.
//
// A weight moves 0.5 bytes of codes, at most 4/64 of scales, and 2 written (BF16): 2.56 bytes, or
// 2.52 with nested scales. Floor: 0.85 ms per billion weights at 3 TB/s, where an H100 SM decodes 5
// weights per cycle: with some 10 instructions each (a lookup, a product, half a conversion, the
// rest addressing), 40 % of its issue slots, and 1 in 6 of its shared-memory lookups. 32 registers
// for whole rows (full occupancy, 2048 threads per SM), 38 for columns.
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
  bf16* y;
};

// Parts of several weights.
struct Decodes {
  Decode of[QLORA_PARTS];
  uint32_t first[QLORA_PARTS];  // block of each; no part begins at UINT32_MAX
};

__device__ void share_codebook(float* shared, int kind) {
  if (threadIdx.x < 16) shared[threadIdx.x] = kCodebooks[kind][threadIdx.x];
  __syncthreads();
}

// Indices count units of 8 and fit 32 bits for any weight. Without kColumns the rectangle is whole
// rows, one run of units.
template <bool kColumns>
__global__ void __launch_bounds__(kThreads) decode_eights(const __grid_constant__ Decodes all) {
  int part = 0;
#pragma unroll
  for (int i = 1; i < QLORA_PARTS; i++) part += blockIdx.x >= all.first[i];
  const Decode& d = all.of[part];
  float* values = shared_memory<float>();
  share_codebook(values, d.kind);
  const auto row_units = static_cast<uint32_t>(d.cols / kEight);
  const auto units = static_cast<uint32_t>(d.rows) * row_units;
  const uint32_t begin = (blockIdx.x - all.first[part]) * (kThreads * kSteps) + threadIdx.x;
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
    store8(d.y + to, v);
  }
}

__global__ void __launch_bounds__(kThreads) decode_elements(Decode d) {
  float* values = shared_memory<float>();
  share_codebook(values, d.kind);
  for (int64_t j = int64_t{blockIdx.x} * kThreads + threadIdx.x; j < d.rows * d.cols;
       j += int64_t{gridDim.x} * kThreads) {
    int64_t row = j / d.cols, col = j - row * d.cols, e = d.first + row * d.in + col;
    uint32_t code = d.codes[e / 2] >> (e % 2 == 0 ? 4 : 0) & 15;
    d.y[row * d.stride + col] =
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
  qlora_copy rectangle{op->y, part, {}};
  return copy(c, &rectangle);
}

// Returns a message if the part cannot be decoded, else NULL.
const char* unsupported(const qlora_decode& op) {
  if (op.y.dtype != QLORA_BF16) return "decode: to another type than BF16";
  const qlora_weight& w = op.weight;
  return w.dense.data == nullptr && !known_scales(w) ? "decode: blocks of nested scales" : nullptr;
}

// The part of a weight in 4 bits. Whole rows are one long row.
Decode part_of(const qlora_decode& op) {
  const qlora_weight& w = op.weight;
  Decode d{w.codes,
           scales_of(w),
           w.kind,
           w.block,
           shift_of(w.block),
           op.row * w.in + op.col,
           w.in,
           op.y.rows,
           op.y.cols,
           op.y.stride,
           static_cast<bf16*>(op.y.data)};
  if (d.cols == d.in && d.stride == d.in) {
    d.cols *= d.rows;
    d.rows = 1;
  }
  return d;
}

// Whether the part's rows are whole units of 8.
bool wide(qlora_context* c, const qlora_decode& op, const Decode& d) {
  return !prefers(c, "elements") && d.block_shift >= 3 && d.in % kEight == 0 &&
         op.col % kEight == 0 && eights(op.y) && reinterpret_cast<uintptr_t>(d.codes) % 4 == 0;
}

int decode_alone(qlora_context* c, const qlora_decode& op) {
  if (op.y.rows * op.y.cols == 0) return QLORA_OK;
  if (op.weight.dense.data != nullptr) return decode_dense(c, &op);
  Decode d = part_of(op);
  dim3 grid(static_cast<uint32_t>(ceil_div(d.rows * d.cols, kThreads)));
  return launch(c, "decode_bf16_elements", decode_elements, grid, dim3(kThreads), kShared, d);
}

int decode_all(qlora_context* c, const qlora_decode* parts, int count) {
  if (count < 1 || count > QLORA_PARTS)
    return fail(c, QLORA_UNSUPPORTED, "decode: %d parts", count);
  Decodes all{};
  uint32_t blocks = 0;
  int n = 0;
  bool columns = false;
  for (int i = 0; i < count; i++) {
    const qlora_decode& op = parts[i];
    if (const char* sentence = unsupported(op)) return fail(c, QLORA_UNSUPPORTED, "%s", sentence);
    const Decode d = part_of(op);
    if (op.weight.dense.data != nullptr || op.y.rows * op.y.cols == 0 || !wide(c, op, d)) {
      int status = decode_alone(c, op);
      if (status != QLORA_OK) return status;
      continue;
    }
    columns = columns || d.rows > 1;
    all.of[n] = d;
    all.first[n++] = blocks;
    blocks += static_cast<uint32_t>(ceil_div(d.rows * d.cols, kThreads * kSteps * kEight));
  }
  if (n == 0) return QLORA_OK;
  for (int i = n; i < QLORA_PARTS; i++) all.first[i] = UINT32_MAX;
  return launch(c, columns ? "decode_bf16_columns" : "decode_bf16",
                columns ? decode_eights<true> : decode_eights<false>, dim3(blocks), dim3(kThreads),
                kShared, all);
}

}  // namespace

int decode(qlora_context* c, const qlora_decode* op) { return decode_all(c, op, 1); }

int decode_parts(qlora_context* c, const qlora_decode_parts* op) {
  return decode_all(c, op->of, op->count);
}
