// The kernel behind every variant of gemm for GPUs with mma.sync (sm_80 and later).
//
// A block sums one tile of C over one piece of the contraction. Slices of the contraction of both
// operands go through a ring of kStages stages in shared memory, filled by cp.async; a warp reads
// its fragments with ldmatrix, one step of 16 ahead of the mma's, across slices, too, so that a
// slice costs one barrier. The low-rank extension is the first slices of the same ring.
#pragma once

#include "kernels/gemm_epilogue.cuh"
#include "kernels/gemm_tile.cuh"
#include "runtime/launch.h"

// M x N of C by slices of K; a warp has WarpM x WarpN.
template <int M, int N, int K, int Stages, int WarpM, int WarpN, int BlocksOnProcessor>
struct GemmTile {
  static constexpr int kM = M, kN = N, kK = K, kStages = Stages, kWarpM = WarpM, kWarpN = WarpN;
  static constexpr int kBlocksOnProcessor = BlocksOnProcessor;
  static constexpr int kThreads = M / WarpM * (N / WarpN) * 32;
  static constexpr int kRowTiles = WarpM / 16, kColTiles = WarpN / 8;  // of an mma, in a warp
  static constexpr int kStageElements = (M + N) * K;
  static constexpr int kSharedBytes = Stages * kStageElements * 2;

  // A warp's 16 rows of C on their way out; 8 floats more in a row spread rows over the banks.
  static constexpr int kOutStride = WarpN + 8;
  static_assert(kThreads / 32 * 16 * kOutStride * 4 <= kSharedBytes, "the ring holds the epilogue");
  static_assert(K % 16 == 0 && 64 % K == 0, "pieces of the contraction are multiples of 64");
  static_assert(WarpN % 16 == 0, "fragments of B are read in pairs");
  static_assert(kSharedBytes <= 99 << 10, "what a block may have on sm_86, sm_89 and sm_120");
};

// The tile of C that a block has. Eight rows of tiles are walked together, so that what blocks
// which run at a time read of A and B stays in the L2 cache.
template <class Tile>
__device__ void place(const Epilogue& end, int* row, int* col) {
  constexpr int kGroup = 8;
  int rows = (end.m + Tile::kM - 1) / Tile::kM, cols = (end.n + Tile::kN - 1) / Tile::kN;
  int group = blockIdx.x / (kGroup * cols), first = group * kGroup;
  int height = min(kGroup, rows - first), within = blockIdx.x - first * cols;
  *row = (first + within % height) * Tile::kM;
  *col = within / height * Tile::kN;
}

// What a warp's sums become: mask·scale2 of an extension, before the base's products are added.
// A lane holds 2 columns of 8; the 4 lanes of a row draw one of 4 groups of 8 each.
template <class Tile>
__device__ void scale_extension(const Product& p, int row0, int col0,
                                float (&sums)[Tile::kRowTiles][Tile::kColTiles][4]) {
  int lane = threadIdx.x % 32, quad = lane & ~3;
#pragma unroll
  for (int i = 0; i < Tile::kRowTiles; i++) {
#pragma unroll
    for (int j = 0; j < Tile::kColTiles; j++) {
#pragma unroll
      for (int x = 0; x < 4; x++) sums[i][j][x] *= p.scale2;
    }
    if (p.mask_on != QLORA_MASK_EXTENSION) continue;
    int row = row0 + 16 * i + lane / 4 + p.end.mask_row;
#pragma unroll
    for (int j0 = 0; j0 < Tile::kColTiles; j0 += 4) {
      int group = col0 / kVector + j0 + lane % 4 + p.end.mask_group;
      uint32_t kept =
          dropout_kept(p.end.mask, row, group) | dropout_kept(p.end.mask, row + 8, group) << 8;
#pragma unroll
      for (int j = 0; j < 4 && j0 + j < Tile::kColTiles; j++) {
        uint32_t bits = __shfl_sync(0xffffffffu, kept, quad + j) >> (2 * (lane % 4));
        float (&sum)[4] = sums[i][j0 + j];
        sum[0] *= dropout_factor(p.end.mask, bits);
        sum[1] *= dropout_factor(p.end.mask, bits >> 1);
        sum[2] *= dropout_factor(p.end.mask, bits >> 8);
        sum[3] *= dropout_factor(p.end.mask, bits >> 9);
      }
    }
  }
}

// Writes a warp's sums: 16 rows at a time through shared memory, so that a lane has 8 neighbouring
// columns. No other warp touches `out`.
template <class Tile>
__device__ void write(const Product& p, float* out, int row0, int col0,
                      const float (&sums)[Tile::kRowTiles][Tile::kColTiles][4]) {
  constexpr int kStride = Tile::kOutStride, kChunks = Tile::kWarpN / kVector;
  int lane = threadIdx.x % 32;
#pragma unroll
  for (int i = 0; i < Tile::kRowTiles; i++) {
#pragma unroll
    for (int j = 0; j < Tile::kColTiles; j++) {
#pragma unroll
      for (int half = 0; half < 2; half++) {
        ptx::store64(out + (lane / 4 + 8 * half) * kStride + 8 * j + lane % 4 * 2,
                     make_uint2(__float_as_uint(sums[i][j][2 * half]),
                                __float_as_uint(sums[i][j][2 * half + 1])));
      }
    }
    __syncwarp();
#pragma unroll 1
    for (int chunk = lane; chunk < 16 * kChunks; chunk += 32) {
      int r = chunk / kChunks, row = row0 + 16 * i + r, col = col0 + chunk % kChunks * kVector;
      if (row >= p.end.m || col >= p.end.n) continue;
      float x[kVector];
      load_floats(x, out + r * kStride + chunk % kChunks * kVector);
      if (p.partial == nullptr) {
        finish(p.end, row, col, x);
        continue;
      }
      float* to = p.partial + (int64_t{blockIdx.z} * p.end.m + row) * p.end.n + col;
      if (p.end.n % 4 == 0 && col + kVector <= p.end.n) {
        store_floats(to, x);
        continue;
      }
#pragma unroll
      for (int e = 0; e < kVector; e++) {
        if (col + e < p.end.n) to[e] = x[e];
      }
    }
    __syncwarp();
  }
}

template <class Tile, int Layout>
__device__ void multiply(const Product& p) {
  constexpr bool kAInner = Layout != QLORA_TN, kBInner = Layout == QLORA_NT;
  constexpr int kM = Tile::kM, kN = Tile::kN, kK = Tile::kK, kStages = Tile::kStages;
  using A = SharedTile<kAInner ? kM : kK, kAInner ? kK : kM, kAInner, Tile::kThreads>;
  using B = SharedTile<kBInner ? kN : kK, kBInner ? kK : kN, kBInner, Tile::kThreads>;
  constexpr int kSteps = kK / 16;
  static_assert(kSteps % 2 == 0, "two sets of fragments take turns");

  auto* ring = shared_memory<bf16>();
  int row0, col0;
  place<Tile>(p.end, &row0, &col0);
  int k0 = blockIdx.z * p.piece, k1 = min(p.k, k0 + p.piece);
  int extension = blockIdx.z == 0 ? (p.k2 + kK - 1) / kK : 0;
  int slices = extension + (k1 - k0 + kK - 1) / kK;

  auto begin = [&](int slice) {  // where in the contraction
    return slice < extension ? slice * kK : k0 + (slice - extension) * kK;
  };
  auto fetch = [&](int slice) {
    if (slice < slices) {
      bf16* stage = ring + slice % kStages * Tile::kStageElements;
      Operand a = slice < extension ? p.a2 : p.a, b = slice < extension ? p.b2 : p.b;
      int k = begin(slice);
      A::copy(stage, a, kAInner ? row0 : k, kAInner ? k : row0);
      B::copy(stage + A::kElements, b, kBInner ? col0 : k, kBInner ? k : col0);
    }
    ptx::async_commit();  // an empty group at the end, so that waiting counts slices
  };
  // Waits for this thread's part of a slice, masks it, and lets the others see it.
  auto arrive = [&](int slice) {
    ptx::async_wait<kStages - 2>();
    if (p.mask_on != QLORA_MASK_NONE && slice >= extension && slice < slices) {
      bf16* stage = ring + slice % kStages * Tile::kStageElements;
      int k = begin(slice), row = p.end.mask_row, col = p.end.mask_group * kVector;
      if (p.mask_on == QLORA_MASK_A) {
        A::apply(stage, p.end.mask, row + (kAInner ? row0 : k), col + (kAInner ? k : row0));
      } else if (p.mask_on == QLORA_MASK_B) {
        B::apply(stage + A::kElements, p.end.mask, row + (kBInner ? col0 : k),
                 col + (kBInner ? k : col0));
      }
    }
    __syncthreads();
  };

  int warp = threadIdx.x / 32;
  int warp_row = warp % (kM / Tile::kWarpM) * Tile::kWarpM;
  int warp_col = warp / (kM / Tile::kWarpM) * Tile::kWarpN;
  uint32_t a[2][Tile::kRowTiles][4], b[2][Tile::kColTiles / 2][4];
  auto load = [&](int slice, int step) {
    const bf16* stage = ring + slice % kStages * Tile::kStageElements;
#pragma unroll
    for (int i = 0; i < Tile::kRowTiles; i++) {
      A::load_a(a[step % 2][i], stage, warp_row + 16 * i, 16 * step);
    }
#pragma unroll
    for (int j = 0; j < Tile::kColTiles / 2; j++) {
      B::load_b(b[step % 2][j], stage + A::kElements, warp_col + 16 * j, 16 * step);
    }
  };

#pragma unroll
  for (int slice = 0; slice < kStages - 1; slice++) fetch(slice);
  arrive(0);
  load(0, 0);

  float sums[Tile::kRowTiles][Tile::kColTiles][4] = {};
#pragma unroll 1
  for (int slice = 0; slice < slices; slice++) {
    // All warps have read their last of the slice before this one, whose stage is free.
    fetch(slice + kStages - 1);
#pragma unroll
    for (int step = 0; step < kSteps; step++) {
      if (step + 1 < kSteps) {
        load(slice, step + 1);
      } else {
        arrive(slice + 1);
        if (slice + 1 < slices) load(slice + 1, 0);
      }
#pragma unroll
      for (int i = 0; i < Tile::kRowTiles; i++) {
#pragma unroll
        for (int j = 0; j < Tile::kColTiles; j++) {
          uint32_t pair[2] = {b[step % 2][j / 2][j % 2 * 2], b[step % 2][j / 2][j % 2 * 2 + 1]};
          ptx::mma(sums[i][j], a[step % 2][i], pair);
        }
      }
    }
    if (slice + 1 == extension) scale_extension<Tile>(p, row0 + warp_row, col0 + warp_col, sums);
  }
  ptx::async_wait<0>();

  auto* out = shared_memory<float>() + warp * 16 * Tile::kOutStride;
  write<Tile>(p, out, row0 + warp_row, col0 + warp_col, sums);
}
