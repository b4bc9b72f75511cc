// The norm of each row of a weight with its adapter's update (DoRA, Liu et al. 2024):
//
//   norms[o] = sqrt(sum over i of (W[o][i] + scale·sum over k of B[o][k]·A[k][i])²)
//
// W is [out, in] in 4 bits or dense, A is BF16 [r, in], B is BF16 [out, r]; the updated weight is
// never stored. Floor: 2·out·in·r FLOPs on the CUDA cores (0.54 GFLOP for 4096 x 4096 at rank 16:
// 9 µs of an H100's 60 TFLOP/s), above the weight's bytes from rank 8 on.
//
// A warp handles 4 rows, a lane 8 adjacent columns of them at a time: the 8 elements of A that it
// loads serve 32 multiplications, with a number of B that all lanes read from shared memory at
// once. The 8 warps of a block read the same columns of A, which stay in L1. Weights are decoded in
// registers, to float32. A lane's squares are summed over columns in ascending order, then over
// lanes.
#include "kernels/entries.h"
#include "kernels/quantized.cuh"
#include "kernels/reduce.cuh"
#include "runtime/launch.h"

namespace {

constexpr int kWarps = 8, kThreads = kWarps * 32;
constexpr int kWarpRows = 4, kRows = kWarps * kWarpRows;  // of a block
constexpr int kMaxRank = 512;

struct RowNorms {
  const uint8_t* codes;
  Scales scales;
  AnyVector dense;
  const bf16 *a, *b;
  float* norms;
  int64_t dense_stride, a_stride, b_stride;
  int kind, block, block_shift, out, in, rank;
  float scale;
  bool wide_weight, wide_a;  // 8 columns at a time
};

// Returns columns [col, col + 8) of a row of W; 0 beyond its end.
__device__ Eight weight_eight(const RowNorms& p, const float* codebook, int row, int col) {
  Eight w{};
  if (row >= p.out) return w;
  int64_t e = int64_t{row} * p.in + col;
  if (p.wide_weight) {
    if (p.dense.data != nullptr) return p.dense.eight(row * p.dense_stride + col);
    uint32_t word = ptx::load32(p.codes + e / 2);
    float scale = p.scales.at(e >> p.block_shift);
#pragma unroll
    for (int i = 0; i < kEight; i++) w.x[i] = codebook[word >> (4 * (i ^ 1)) & 15] * scale;
    return w;
  }
#pragma unroll
  for (int i = 0; i < kEight; i++) {
    if (col + i >= p.in) continue;
    if (p.dense.data != nullptr) {
      w.x[i] = p.dense.one(row * p.dense_stride + col + i);
    } else {
      uint32_t code = p.codes[(e + i) / 2] >> ((e + i) % 2 == 0 ? 4 : 0) & 15;
      w.x[i] = codebook[code] * p.scales.at((e + i) / p.block);
    }
  }
  return w;
}

__device__ Eight a_eight(const RowNorms& p, int k, int col) {
  const bf16* from = p.a + k * p.a_stride + col;
  if (p.wide_a) return load8(from);
  Eight a{};
#pragma unroll
  for (int i = 0; i < kEight; i++) {
    if (col + i < p.in) a.x[i] = ptx::to_float(from[i]);
  }
  return a;
}

__global__ void __launch_bounds__(kThreads) row_norms_rows(RowNorms p) {
  auto* codebook = shared_memory<float>();
  float* b = codebook + 16;  // scale·B of the block's rows, [rank][rows]
  int row0 = blockIdx.x * kRows, lane = threadIdx.x % 32;
  if (threadIdx.x < 16) codebook[threadIdx.x] = kCodebooks[p.kind][threadIdx.x];
  for (int i = threadIdx.x; i < p.rank * kRows; i += kThreads) {
    int row = row0 + i % kRows, k = i / kRows;
    b[i] = row < p.out ? p.scale * ptx::to_float(p.b[row * p.b_stride + k]) : 0.0f;
  }
  __syncthreads();

  int first = threadIdx.x / 32 * kWarpRows;  // row of the warp in the block
  float squares[kWarpRows] = {};
  for (int col = lane * kEight; col < p.in; col += 32 * kEight) {
    Eight w[kWarpRows];
#pragma unroll
    for (int r = 0; r < kWarpRows; r++) w[r] = weight_eight(p, codebook, row0 + first + r, col);
#pragma unroll 2
    for (int k = 0; k < p.rank; k++) {
      Eight a = a_eight(p, k, col);
      uint4 of_rows = ptx::load128(b + k * kRows + first);
      const uint32_t factors[kWarpRows] = {of_rows.x, of_rows.y, of_rows.z, of_rows.w};
#pragma unroll
      for (int r = 0; r < kWarpRows; r++) {
#pragma unroll
        for (int i = 0; i < kEight; i++) w[r].x[i] += __uint_as_float(factors[r]) * a.x[i];
      }
    }
#pragma unroll
    for (int r = 0; r < kWarpRows; r++) {
#pragma unroll
      for (int i = 0; i < kEight; i++) squares[r] += w[r].x[i] * w[r].x[i];
    }
  }
#pragma unroll
  for (int r = 0; r < kWarpRows; r++) {
    float sum = lanes_sum<32>(squares[r]);
    int row = row0 + first + r;
    if (lane == 0 && row < p.out) p.norms[row] = __fsqrt_rn(sum);
  }
}
constexpr int shared_bytes(int rank) {
  return (16 + rank * kRows) * static_cast<int>(sizeof(float));
}
REGISTER_KERNEL(row_norms_rows, kThreads, shared_bytes(kMaxRank));

}  // namespace

int row_norms(qlora_context* c, const qlora_row_norms* op) {
  const qlora_weight& w = op->weight;
  bool dense = w.dense.data != nullptr;
  int rank = static_cast<int>(op->a.rows);
  if (rank > kMaxRank) {
    return fail(c, QLORA_UNSUPPORTED, "row_norms: rank %d is more than %d", rank, kMaxRank);
  }
  if (!dense && !known_scales(w)) {
    return fail(c, QLORA_UNSUPPORTED, "row_norms: %d scales share a nested one", w.nested_block);
  }
  RowNorms p{};
  p.codes = w.codes;
  p.scales = scales_of(w);
  p.dense = any(w.dense);
  p.dense_stride = w.dense.stride;
  p.a = static_cast<const bf16*>(op->a.data);
  p.a_stride = op->a.stride;
  p.b = static_cast<const bf16*>(op->b.data);
  p.b_stride = op->b.stride;
  p.norms = static_cast<float*>(op->norms.data);
  p.kind = w.kind;
  p.block = dense ? 1 : w.block;
  p.block_shift = shift_of(p.block);
  p.out = w.out;
  p.in = w.in;
  p.rank = rank;
  p.scale = op->scale;
  p.wide_weight = dense ? eights(w.dense)
                        : w.in % kEight == 0 && p.block_shift >= 3 &&
                              reinterpret_cast<uintptr_t>(w.codes) % 4 == 0;
  p.wide_a = eights(op->a);
  if (p.out == 0) return QLORA_OK;
  return launch(c, "row_norms_rows", row_norms_rows, dim3((p.out + kRows - 1) / kRows),
                dim3(kThreads), shared_bytes(rank), p);
}
