// Products of at most 8 rows with a weight, for generation:
//
//   C = [C +] residual + bias + gain·scale·(scale2·A2·B2ᵀ + A·Wᵀ)
//
// A and A2 are BF16 [m, K] and [m, K2], m <= 8; W is [n, K] in 4 bits or dense, B2 is BF16
// [n, K2]; C is BF16 or F32 [m, n]. There is no mask.
//
// Floor: the bytes of the weight, 0.5 + 4/64 (0.5 + 1/64 with nested scales) for each of n·K in 4
// bits, 2 in BF16, over the memory's bandwidth.
//
// A warp multiplies 16 of W's rows with all of A at once on the tensor cores, where 8 tokens cost
// the same as one: a step is 64 of the contraction, 4 mma's. The contraction's order is free as
// long as both operands share it, so a lane's fragments are 16 adjacent elements of its rows,
// loaded directly: no shared memory. A table of 256 pairs, of which every lane has a copy in its
// own bank, decodes codes to pairs of BF16: half a lookup per weight, and in total about 1.9
// instructions, which is half of an H100's issue slots at its bandwidth (counted, not timed). The
// scale of a block of 64 multiplies the float32 sum of a step, so a weight is rounded once, as in
// decode: the code's value to BF16 here, value·absmax there.
//
// The 8 warps of a block share the contraction in turns of kTurn steps, and their sums are added in
// order: the bits are the same on every machine. The grid has as many blocks as fit the GPU, and
// each iterates over tiles of rows, so that it fills the table once. If fragments cannot be loaded
// (rows that are not multiples of 64, other types), gemv_elements runs with one warp per row.
#include <algorithm>

#include "kernels/entries.h"
#include "kernels/gemm_epilogue.cuh"
#include "kernels/quantized.cuh"
#include "kernels/reduce.cuh"
#include "runtime/launch.h"

namespace {

constexpr int kTokens = 8, kRows = 16;  // per warp tile
constexpr int kStep = 64;
constexpr int kWarps = 8, kThreads = kWarps * 32;
constexpr int kSums = kRows * kTokens;
constexpr int kTableBytes = 256 * 32 * 4;
constexpr int kSumsBytes = 2 * kWarps * kSums * 4;

struct Vectors {
  Operand a, a2, b2;
  int k, k2;
  CodedWeight coded;
  AnyVector dense;
  int64_t stride;  // of dense
  int block;       // of coded, which need not be a power of two in gemv_elements
  float scale2;
  Epilogue end;
};

// A lane's elements of A in a step, as the second operand of 4 mma's: token lane/4, columns from
// 16·(lane%4) on.
__device__ __forceinline__ void load_tokens(uint32_t (&x)[8], const Operand& a, int col) {
  int token = threadIdx.x % 32 / 4;
  uint4 low{}, high{};
  if (token < a.rows && col < a.cols) {
    const bf16* from = a.data + token * a.stride + col;
    low = ptx::load128(from);
    high = ptx::load128(from + 8);
  }
  x[0] = low.x, x[1] = low.y, x[2] = low.z, x[3] = low.w;
  x[4] = high.x, x[5] = high.y, x[6] = high.z, x[7] = high.w;
}

// sums += W's 16 rows from row0 on times A, over the steps of one turn: in 4 bits.
struct CodedRows {
  static constexpr int kTurn = 4;  // steps: 256 of the contraction

  static __device__ void multiply(const Vectors& v, const uint32_t* table, int row0, int turn,
                                  float (&sums)[4]) {
    int lane = threadIdx.x % 32, row = row0 + lane / 4, part = lane % 4;
    const CodedWeight& w = v.coded;
    uint2 codes[kTurn][2];
#pragma unroll
    for (int step = 0; step < kTurn; step++) {
      int col = (turn * kTurn + step) * kStep + 16 * part;
#pragma unroll
      for (int half = 0; half < 2; half++) {
        codes[step][half] = make_uint2(0, 0);
        if (row + 8 * half < w.rows && col < w.cols) {
          codes[step][half] = ptx::load64(w.codes + w.element(row + 8 * half, col) / 2);
        }
      }
    }
    // A lane loads the scales of one of the steps, for the 4 lanes with the same rows.
    float scales[2];
    int col = (turn * kTurn + part) * kStep;
#pragma unroll
    for (int half = 0; half < 2; half++) {
      scales[half] = 0;
      if (row + 8 * half < w.rows && col < w.cols) {
        scales[half] = w.scales.at(w.element(row + 8 * half, col) >> w.block_shift);
      }
    }
#pragma unroll
    for (int step = 0; step < kTurn; step++) {
      uint32_t x[8];
      load_tokens(x, v.a, (turn * kTurn + step) * kStep + 16 * part);
      float products[4] = {};
#pragma unroll
      for (int i = 0; i < 4; i++) {
        uint32_t first = i < 2 ? codes[step][0].x : codes[step][0].y;
        uint32_t second = i < 2 ? codes[step][1].x : codes[step][1].y;
        int byte = i % 2 * 2;
        uint32_t fragment[4] = {pair(table, first, byte), pair(table, second, byte),
                                pair(table, first, byte + 1), pair(table, second, byte + 1)};
        uint32_t tokens[2] = {x[2 * i], x[2 * i + 1]};
        ptx::mma(products, fragment, tokens);
      }
#pragma unroll
      for (int half = 0; half < 2; half++) {
        float scale = __shfl_sync(0xffffffffu, scales[half], step, 4);
        sums[2 * half] += scale * products[2 * half];
        sums[2 * half + 1] += scale * products[2 * half + 1];
      }
    }
  }

  // Pair c of the table is at c·32 + lane: 128 bytes a pair.
  static __device__ void make_table(uint32_t* table, int kind) {
    for (int i = threadIdx.x; i < 256 * 32; i += kThreads) {
      table[i] = ptx::pack(kCodebooks[kind][i / 32 >> 4], kCodebooks[kind][i / 32 & 15]);
    }
    __syncthreads();
  }

 private:
  static __device__ __forceinline__ uint32_t pair(const uint32_t* table, uint32_t codes, int byte) {
    uint32_t at = byte == 0 ? codes << 7 : codes >> (8 * byte - 7);
    at = (at & 0x7f80) | threadIdx.x % 32 * 4;
    return ptx::load32(reinterpret_cast<const char*>(table) + at);
  }
};

// The same in BF16.
struct DenseRows {
  static constexpr int kTurn = 2;

  static __device__ void multiply(const Vectors& v, const uint32_t*, int row0, int turn,
                                  float (&sums)[4]) {
    int lane = threadIdx.x % 32, row = row0 + lane / 4, part = lane % 4;
    uint4 w[kTurn][2][2];
#pragma unroll
    for (int step = 0; step < kTurn; step++) {
      int col = (turn * kTurn + step) * kStep + 16 * part;
#pragma unroll
      for (int half = 0; half < 2; half++) {
        w[step][half][0] = w[step][half][1] = make_uint4(0, 0, 0, 0);
        if (row + 8 * half < v.end.n && col < v.k) {
          const bf16* from =
              static_cast<const bf16*>(v.dense.data) + (row + 8 * half) * v.stride + col;
          w[step][half][0] = ptx::load128_once(from);
          w[step][half][1] = ptx::load128_once(from + 8);
        }
      }
    }
#pragma unroll
    for (int step = 0; step < kTurn; step++) {
      uint32_t x[8];
      load_tokens(x, v.a, (turn * kTurn + step) * kStep + 16 * part);
#pragma unroll
      for (int i = 0; i < 2; i++) {
        const uint4& first = w[step][0][i];
        const uint4& second = w[step][1][i];
        uint32_t fragments[2][4] = {{first.x, second.x, first.y, second.y},
                                    {first.z, second.z, first.w, second.w}};
#pragma unroll
        for (int j = 0; j < 2; j++) {
          uint32_t tokens[2] = {x[4 * i + 2 * j], x[4 * i + 2 * j + 1]};
          ptx::mma(sums, fragments[j], tokens);
        }
      }
    }
  }
};

// A2's row times B2's.
__device__ float extension(const Vectors& v, int token, int row) {
  float sum = 0;
  const bf16* a = v.a2.data + token * v.a2.stride;
  const bf16* b = v.b2.data + row * v.b2.stride;
  int k = 0;
  if (v.a2.wide && v.b2.wide) {
    for (; k + kEight <= v.k2; k += kEight) {
      Eight x = load8(a + k), y = load8(b + k);
#pragma unroll
      for (int i = 0; i < kEight; i++) sum += x.x[i] * y.x[i];
    }
  }
  for (; k < v.k2; k++) sum += ptx::to_float(a[k]) * ptx::to_float(b[k]);
  return v.scale2 * sum;
}

__device__ void finish_one(const Vectors& v, int token, int row, float sum) {
  if (v.k2 > 0) sum += extension(v, token, row);
  finish_element(v.end, token, row, finish_column(v.end, row, sum));
}

// Returns where a warp's sum is in shared memory. A warp writes 8 rows of every other token at once
// and reads 16 rows of two adjacent tokens: neither meets in a bank.
__device__ __forceinline__ int place_of(int token, int row) {
  const int pair = token / 2;
  return pair * 32 + ((token ^ pair) & 1) * 16 + (row ^ (pair / 2 * 8));
}

// Iterates a block over tiles of 16 rows.
template <class Weight>
__device__ __forceinline__ void walk(const Vectors& v, float* shared, const uint32_t* table) {
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  int turns = (v.k + Weight::kTurn * kStep - 1) / (Weight::kTurn * kStep);
  int tiles = (v.end.n + kRows - 1) / kRows, round = 0;
  for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x, round++) {
    float sums[4] = {};
    for (int turn = warp; turn < turns; turn += kWarps) {
      Weight::multiply(v, table, tile * kRows, turn, sums);
    }
    // Two buffers alternate: the next tile's sums are written while these are still read.
    float* place = shared + round % 2 * kWarps * kSums;
#pragma unroll
    for (int i = 0; i < 4; i++) {
      int row = lane / 4 + 8 * (i / 2), token = lane % 4 * 2 + i % 2;
      place[warp * kSums + place_of(token, row)] = sums[i];
    }
    __syncthreads();
    int token = threadIdx.x / kRows, row = tile * kRows + threadIdx.x % kRows;
    if (token < v.end.m && row < v.end.n) {
      const float* from = place + place_of(token, threadIdx.x % kRows);
      float sum = from[0];
#pragma unroll
      for (int w = 1; w < kWarps; w++) sum += from[w * kSums];
      finish_one(v, token, row, sum);
    }
  }
}

constexpr int kCodedBlocks = 2, kDenseBlocks = 3;  // per SM

__global__ void __launch_bounds__(kThreads, kCodedBlocks) gemv_coded(Vectors v) {
  auto* table = shared_memory<uint32_t>();
  CodedRows::make_table(table, v.coded.kind);
  walk<CodedRows>(v, reinterpret_cast<float*>(table + 256 * 32), table);
}
REGISTER_KERNEL(gemv_coded, kThreads, kTableBytes + kSumsBytes);

__global__ void __launch_bounds__(kThreads, kDenseBlocks) gemv_dense(Vectors v) {
  walk<DenseRows>(v, shared_memory<float>(), nullptr);
}
REGISTER_KERNEL(gemv_dense, kThreads, kSumsBytes);

// One warp per row of any weight, one element at a time.
__global__ void __launch_bounds__(kThreads) gemv_elements(Vectors v) {
  int row = blockIdx.x * kWarps + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (row >= v.end.n) return;
  float sums[kTokens] = {};
  for (int k = lane; k < v.k; k += 32) {
    float w;
    if (v.dense.data != nullptr) {
      w = v.dense.one(row * v.stride + k);
    } else {
      int64_t e = v.coded.element(row, k);
      w = kCodebooks[v.coded.kind][v.coded.codes[e / 2] >> (e % 2 == 0 ? 4 : 0) & 15] *
          v.coded.scales.at(e / v.block);
    }
#pragma unroll
    for (int token = 0; token < kTokens; token++) {
      if (token < v.end.m) sums[token] += w * ptx::to_float(v.a.data[token * v.a.stride + k]);
    }
  }
#pragma unroll
  for (int token = 0; token < kTokens; token++) {
    float sum = lanes_sum<32>(sums[token]);
    if (lane == 0 && token < v.end.m) finish_one(v, token, row, sum);
  }
}
REGISTER_KERNEL(gemv_elements, kThreads, 0);

}  // namespace

int gemv(qlora_context* c, const qlora_gemv* op) {
  const qlora_weight& w = op->weight;
  if (op->layout != QLORA_NT || op->mask_on != QLORA_MASK_NONE || op->c.rows > kTokens) {
    return fail(c, QLORA_UNSUPPORTED, "gemv: more than 8 rows, a mask, or another layout than NT");
  }
  bool dense = w.dense.data != nullptr;
  if (!dense && !known_scales(w)) {
    return fail(c, QLORA_UNSUPPORTED, "gemv: %d scales share a nested one", w.nested_block);
  }
  if (op->c.rows * op->c.cols == 0) return QLORA_OK;
  Vectors v{};
  v.a = operand(op->a);
  v.k = v.a.cols;
  if (op->a2.data != nullptr) {
    v.a2 = operand(op->a2);
    v.b2 = operand(op->b2);
    v.k2 = v.a2.cols;
  }
  v.coded = {w.codes, scales_of(w), w.out, w.in, w.kind, shift_of(w.block)};
  v.block = w.block;
  v.dense = any(w.dense);
  v.stride = w.dense.stride;
  v.scale2 = op->scale2;
  v.end = epilogue(*op);

  int tiles = (v.end.n + kRows - 1) / kRows;
  bool steps = v.k % kStep == 0 && v.a.wide && !prefers(c, "elements");
  if (!dense && steps && w.block % kStep == 0 && v.coded.block_shift >= 0 &&
      reinterpret_cast<uintptr_t>(w.codes) % 8 == 0) {
    return launch(c, "gemv_coded", gemv_coded, dim3(std::min(tiles, processors(c) * kCodedBlocks)),
                  dim3(kThreads), kTableBytes + kSumsBytes, v);
  }
  if (dense && steps && w.dense.dtype == QLORA_BF16 && wide(w.dense, 2)) {
    return launch(c, "gemv_dense", gemv_dense, dim3(std::min(tiles, processors(c) * kDenseBlocks)),
                  dim3(kThreads), kSumsBytes, v);
  }
  return launch(c, "gemv_elements", gemv_elements, dim3((v.end.n + kWarps - 1) / kWarps),
                dim3(kThreads), 0, v);
}
