// The kernel of every gemm variant for GPUs with mma.sync (sm_80 and later).
//
// A block sums one tile of C over one piece of the contraction. Slices of the contraction of both
// operands go through a ring of kStages stages in shared memory, filled by cp.async. A warp reads
// its fragments with ldmatrix, one step of 16 ahead of the mma's, also across slices, so that a
// slice costs one barrier. The low-rank extension is the first slices of the same ring.
//
// For a 4-bit weight the ring holds the codes. While a slice is multiplied, the next one's codes
// are decoded into one of two alternating BF16 tiles next to the ring; their scales were loaded one
// slice earlier. The extension's B is copied directly into such a tile.
#pragma once

#include <type_traits>

#include "kernels/gemm_codes.cuh"
#include "kernels/gemm_epilogue.cuh"
#include "kernels/gemm_gated.cuh"
#include "kernels/gemm_tile.cuh"
#include "runtime/launch.h"

// M x N of C by slices of K; a warp computes WarpM x WarpN.
template <int M, int N, int K, int Stages, int WarpM, int WarpN, int BlocksOnProcessor>
struct GemmTile {
  static constexpr int kM = M, kN = N, kK = K, kStages = Stages, kWarpM = WarpM, kWarpN = WarpN;
  static constexpr int kBlocksOnProcessor = BlocksOnProcessor;
  static constexpr int kThreads = M / WarpM * (N / WarpN) * 32;
  static constexpr int kRowTiles = WarpM / 16, kColTiles = WarpN / 8;  // of an mma, in a warp
  static constexpr int kOutStride = WarpN + 8;  // 8 floats more spread rows over the banks
  static constexpr int kOutBytes = kThreads / 32 * 16 * kOutStride * 4;

  static_assert(64 % K == 0, "pieces of the contraction are multiples of 64");
  static_assert(K / 16 % 2 == 0, "two sets of fragments take turns");
  static_assert(WarpN % 16 == 0, "fragments of B are read in pairs");
};

// A block's shared memory: the stages of A and of B or its codes, then the decoded tiles.
template <class Tile, int Layout, bool Coded>
struct GemmMemory {
  static constexpr bool kAInner = Layout != QLORA_TN, kBInner = Layout == QLORA_NT;
  static constexpr int kM = Tile::kM, kN = Tile::kN, kK = Tile::kK;
  using A = SharedTile<kAInner ? kM : kK, kAInner ? kK : kM, kAInner, Tile::kThreads>;
  using B = SharedTile<kBInner ? kN : kK, kBInner ? kK : kN, kBInner, Tile::kThreads>;
  using Codes = std::conditional_t<Coded, CodeTile<B, Tile::kThreads>, NoCodes>;

  static constexpr int kStageBytes = A::kBytes + (Coded ? Codes::kBytes : B::kBytes);
  static constexpr int kRingBytes = Tile::kStages * kStageBytes;
  static constexpr int kSharedBytes = kRingBytes + (Coded ? 2 * B::kBytes + kCodebookBytes : 0);
  static_assert(kSharedBytes >= Tile::kOutBytes, "the same memory holds what goes out");
  static_assert(kSharedBytes <= 99 << 10, "what a block may have on sm_86, sm_89 and sm_120");

  static __device__ char* stage(int slice) {
    return shared_memory<char>() + slice % Tile::kStages * kStageBytes;
  }
  static __device__ bf16* a(int slice) { return reinterpret_cast<bf16*>(stage(slice)); }
  static __device__ uint8_t* codes(int slice) {
    return reinterpret_cast<uint8_t*>(stage(slice) + A::kBytes);
  }
  static __device__ bf16* b(int slice) {
    char* tile = Coded ? shared_memory<char>() + kRingBytes + slice % 2 * B::kBytes
                       : stage(slice) + A::kBytes;
    return reinterpret_cast<bf16*>(tile);
  }
  static __device__ float* codebook() {
    return reinterpret_cast<float*>(shared_memory<char>() + kRingBytes + 2 * B::kBytes);
  }
};

// The part of a block, and the tile of its C. Sixteen rows of tiles are traversed together: as many
// blocks as there are processors then cover about a square of C, and what they read of A and B stays
// in the L2 cache. B is read from memory once for each sixteen rows. A coded weight is of the first part,
// known to the compiler: its scales and those of several parts do not fit the registers.
template <class Tile, int Layout, bool Coded>
__device__ const Product& place(const Products& all, int* row, int* col) {
  constexpr int kGroup = 16;
  int rows = (all.of[0].end.m + Tile::kM - 1) / Tile::kM, cols = all.tile_columns;
  int group = blockIdx.x / (kGroup * cols), first = group * kGroup;
  int height = min(kGroup, rows - first), within = blockIdx.x - first * cols;
  *row = (first + within % height) * Tile::kM;
  int column = within / height, part = 0;
  if constexpr (Layout == QLORA_NT && !Coded) {
#pragma unroll
    for (int i = 1; i < Products::kMost; i++) part += column >= all.first[i];
    column -= all.first[part];
  }
  *col = column * Tile::kN;
  return all.of[Coded ? 0 : part];
}

// Multiplies a warp's sums of the extension by mask·scale2, before the base's products are added;
// every second group of 8 columns by `odd`. A lane holds 2 columns of 8; the 4 lanes of a row each
// draw one of 4 groups of 8.
template <class Tile>
__device__ void scale_extension(const Product& p, float odd, int row0, int col0,
                                float (&sums)[Tile::kRowTiles][Tile::kColTiles][4]) {
  int lane = threadIdx.x % 32, quad = lane & ~3;
#pragma unroll
  for (int i = 0; i < Tile::kRowTiles; i++) {
#pragma unroll
    for (int j = 0; j < Tile::kColTiles; j++) {
#pragma unroll
      for (int x = 0; x < 4; x++) sums[i][j][x] *= j % 2 == 0 ? p.scale2 : odd;
    }
    if (p.mask_on != QLORA_MASK_EXTENSION) continue;
    int row = row0 + 16 * i + lane / 4 + p.end.mask_row;
#pragma unroll
    for (int j0 = 0; j0 < Tile::kColTiles; j0 += 4) {
      int group = col0 / kEight + j0 + lane % 4 + p.end.mask_group;
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

// Puts a warp's sums of 16 rows into shared memory, in which a lane finds 8 adjacent columns. No other
// warp touches `out`.
template <class Tile>
__device__ __forceinline__ void lay_out(float* out, const float (&sums)[Tile::kColTiles][4]) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int j = 0; j < Tile::kColTiles; j++) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      ptx::store64(
          out + (lane / 4 + 8 * half) * Tile::kOutStride + 8 * j + lane % 4 * 2,
          make_uint2(__float_as_uint(sums[j][2 * half]), __float_as_uint(sums[j][2 * half + 1])));
    }
  }
}

// Writes a warp's sums.
template <class Tile, bool Gated>
__device__ void write(const Product& p, const Gate& gate, float* out, int row0, int col0,
                      const float (&sums)[Tile::kRowTiles][Tile::kColTiles][4]) {
  constexpr int kStride = Tile::kOutStride, kChunks = Tile::kWarpN / kEight;
  int lane = threadIdx.x % 32;
#pragma unroll
  for (int i = 0; i < Tile::kRowTiles; i++) {
    lay_out<Tile>(out, sums[i]);
    __syncwarp();
#pragma unroll 1
    for (int chunk = lane; chunk < 16 * kChunks; chunk += 32) {
      int r = chunk / kChunks, row = row0 + 16 * i + r, col = col0 + chunk % kChunks * kEight;
      if (row >= p.end.m || col >= p.end.n) continue;
      Eight x = load8(out + r * kStride + chunk % kChunks * kEight);
      if (Gated && gate.g != nullptr) {
        finish_gate(p.end, gate, row, col, x);
        continue;
      }
      if (p.partial == nullptr) {
        finish(p.end, row, col, x);
        continue;
      }
      float* to = p.partial + (int64_t{blockIdx.z} * p.end.m + row) * p.end.n + col;
      if (p.end.n % 4 == 0 && col + kEight <= p.end.n) {
        store8(to, x);
        continue;
      }
#pragma unroll
      for (int e = 0; e < kEight; e++) {
        if (col + e < p.end.n) to[e] = x.x[e];
      }
    }
    __syncwarp();
  }
}

// Writes a warp's sums of gate and up, and the activation's output.
template <class Tile>
__device__ void write_gated(const Products& all, float* out, int row0, int col0,
                            const float (&sums)[Tile::kRowTiles][Tile::kColTiles][4]) {
  constexpr int kStride = Tile::kOutStride, kPairs = Tile::kWarpN / 16;
  const Epilogue& e = all.of[0].end;
#pragma unroll
  for (int i = 0; i < Tile::kRowTiles; i++) {
    lay_out<Tile>(out, sums[i]);
    __syncwarp();
#pragma unroll 1
    for (int pair = threadIdx.x % 32; pair < 16 * kPairs; pair += 32) {
      const int r = pair / kPairs, row = row0 + 16 * i + r;
      const int col = col0 / 2 + pair % kPairs * kEight;
      if (row >= e.m || col >= e.n) continue;
      const float* from = out + r * kStride + pair % kPairs * 16;
      finish_gated(all, row, col, load8(from), load8(from + kEight));
    }
    __syncwarp();
  }
}

// Plain: operands are whole (gemm_product.h) and nothing is masked on the way in.
template <class Tile, int Layout, bool Coded, bool Plain>
__device__ void multiply(const Products& all, const Product& p, int row0, int col0) {
  using Memory = GemmMemory<Tile, Layout, Coded>;
  using A = typename Memory::A;
  using B = typename Memory::B;
  using Codes = typename Memory::Codes;
  constexpr bool kAInner = Memory::kAInner, kBInner = Memory::kBInner;
  constexpr int kK = Tile::kK, kStages = Tile::kStages, kSteps = kK / 16;
  constexpr bool kSums = Layout == QLORA_NN && !Coded;
  constexpr bool kPairs = Layout == QLORA_NT && !Coded && Plain;

  int k0 = blockIdx.z * p.piece, k1 = min(p.k, k0 + p.piece);
  int extension = blockIdx.z == 0 ? (p.k2 + kK - 1) / kK : 0;
  if (kPairs && all.gated.y != nullptr) extension = (all.gated.k2 + kK / 2 - 1) / (kK / 2);
  int slices = extension + (k1 - k0 + kK - 1) / kK;
  if constexpr (kSums) {
    for (int leg = 1; leg < all.legs; leg++) slices += (all.of[leg].k + kK - 1) / kK;
  }

  // The start of a slice in the rows and columns of A and of B.
  auto depth = [&](int slice) {
    return slice < extension ? slice * kK : k0 + (slice - extension) * kK;
  };
  auto a_row = [&](int slice) { return kAInner ? row0 : depth(slice); };
  auto a_col = [&](int slice) { return kAInner ? depth(slice) : row0; };
  auto b_row = [&](int slice) { return kBInner ? col0 : depth(slice); };
  auto b_col = [&](int slice) { return kBInner ? depth(slice) : col0; };

  typename A::Cursor a_at = A::cursor(p.a2, row0, 0, p.k2);
  typename B::Cursor b_at = B::cursor(p.b2, col0, 0, p.k2);
  if constexpr (kPairs) {
    if (all.gated.y != nullptr) {
      a_at = gated_low<A>(all.of[0], all.of[1], row0);
      b_at = gated_up<B>(all.of[0], all.of[1], col0);
    }
  }
  // A sum's leg that is copied, and the slice where the next one begins.
  int leg = -1, turn = extension;
  auto fetch = [&](int slice) {
    if constexpr (kSums && Plain) {
      if (slice == turn && leg + 1 < all.legs) {
        const Product& q = all.of[++leg];
        const int from = leg == 0 ? k0 : 0, to = leg == 0 ? k1 : q.k;
        turn += (to - from + kK - 1) / kK;
        a_at = A::cursor(q.a, row0, from, to);
        b_at = B::cursor(q.b, col0, from, to);
      }
    } else if constexpr (kSums) {
      if (slice == turn && leg + 1 < all.legs) {
        turn += ((++leg == 0 ? k1 - k0 : all.of[leg].k) + kK - 1) / kK;
      }
    } else if constexpr (Plain) {
      if (slice == extension) {
        a_at = A::cursor(p.a, row0, k0, k1);
        if constexpr (kPairs) {
          b_at = all.gated.y != nullptr ? gated_rows<B>(all.of[0].b, all.of[1].b, col0, k0, k1)
                                        : B::cursor(p.b, col0, k0, k1);
        } else if (!Coded) {
          b_at = B::cursor(p.b, col0, k0, k1);
        }
      }
    }
    if constexpr (Plain) {
      A::copy(Memory::a(slice), &a_at);
      if constexpr (!Coded) B::copy(Memory::b(slice), &b_at);
    } else if (slice < slices) {
      const bool extends = slice < extension;
      if (kSums && leg > 0) {
        const Product& q = all.of[leg];
        const int k = (slice - turn) * kK + (q.k + kK - 1) / kK * kK;
        A::copy(Memory::a(slice), q.a, row0, k);
        B::copy(Memory::b(slice), q.b, k, col0);
      } else {
        A::copy(Memory::a(slice), extends ? p.a2 : p.a, a_row(slice), a_col(slice));
        if constexpr (!Coded) {
          B::copy(Memory::b(slice), extends ? p.b2 : p.b, b_row(slice), b_col(slice));
        }
      }
    }
    if constexpr (Coded) {
      if (extension <= slice && slice < slices) {
        Codes::copy(Memory::codes(slice), p.weight, b_row(slice), b_col(slice));
      }
    }
    ptx::async_commit();  // an empty group at the end, so that waiting counts slices
  };

  // Decodes B's tile of a slice, whose codes this thread has copied.
  float scales[Codes::kPasses];
  auto decode = [&](int slice) {
    if constexpr (Coded) {
      if (slice < extension) {
        B::copy(Memory::b(slice), p.b2, b_row(slice), b_col(slice));
        ptx::async_commit();
      } else if (slice < slices) {
        ptx::async_wait<kStages - 2>();
        Codes::decode(Memory::b(slice), Memory::codes(slice), Memory::codebook(), scales);
        Codes::load_scales(scales, p.weight, b_row(slice + 1), b_col(slice + 1));
      }
    }
  };

  // Waits for this thread's part of a slice, masks it, and makes it visible to the others.
  auto arrive = [&](int slice) {
    if (Coded && slice < extension) {
      ptx::async_wait<0>();
    } else {
      ptx::async_wait<kStages - 2>();
    }
    if (!Plain && slice >= extension && slice < slices) {
      int row = p.end.mask_row, col = p.end.mask_group * kEight;
      if (p.mask_on == QLORA_MASK_A) {
        A::apply(Memory::a(slice), p.end.mask, row + a_row(slice), col + a_col(slice));
      } else if (!Coded && p.mask_on == QLORA_MASK_B) {
        B::apply(Memory::b(slice), p.end.mask, row + b_row(slice), col + b_col(slice));
      }
    }
    __syncthreads();
  };

  uint32_t warp = threadIdx.x / 32;
  uint32_t warp_row = warp % (Tile::kM / Tile::kWarpM) * Tile::kWarpM;
  uint32_t warp_col = warp / (Tile::kM / Tile::kWarpM) * Tile::kWarpN;
  const uint32_t a_place = A::place_a(warp_row), b_place = B::place_b(warp_col);
  uint32_t a[2][Tile::kRowTiles][4], b[2][Tile::kColTiles / 2][4];
  auto load = [&](int slice, int step) {
#pragma unroll
    for (int i = 0; i < Tile::kRowTiles; i++) {
      A::load(a[step % 2][i], Memory::a(slice), a_place, i, step);
    }
#pragma unroll
    for (int j = 0; j < Tile::kColTiles / 2; j++) {
      B::load(b[step % 2][j], Memory::b(slice), b_place, j, step);
    }
  };

#pragma unroll 1
  for (int slice = 0; slice < kStages - 1; slice++) fetch(slice);
  if constexpr (Coded) {
    share_codebook(Memory::codebook(), p.weight.kind);
    Codes::load_scales(scales, p.weight, b_row(extension), b_col(extension));
    decode(0);
  }
  arrive(0);
  load(0, 0);

  float sums[Tile::kRowTiles][Tile::kColTiles][4] = {};
#pragma unroll 1
  for (int slice = 0; slice < slices; slice++) {
    // All warps have finished reading the slice before this one, so its stage is free.
    fetch(slice + kStages - 1);
#pragma unroll
    for (int step = 0; step < kSteps; step++) {
      if (step + 1 < kSteps) {
        load(slice, step + 1);
      } else {
        arrive(slice + 1);
        // Behind the last slice a plain product has zeros in the ring.
        if ((Plain && !Coded) || slice + 1 < slices) load(slice + 1, 0);
      }
      if (step == 0) decode(slice + 1);
#pragma unroll
      for (int i = 0; i < Tile::kRowTiles; i++) {
#pragma unroll
        for (int j = 0; j < Tile::kColTiles; j++) {
          uint32_t pair[2] = {b[step % 2][j / 2][j % 2 * 2], b[step % 2][j / 2][j % 2 * 2 + 1]};
          ptx::mma(sums[i][j], a[step % 2][i], pair);
        }
      }
    }
    if (slice + 1 == extension) {
      const float odd = kPairs && all.gated.y != nullptr ? all.of[1].scale2 : p.scale2;
      scale_extension<Tile>(p, odd, row0 + warp_row, col0 + warp_col, sums);
    }
  }
  ptx::async_wait<0>();
  __syncthreads();  // the stages are free

  auto* out = shared_memory<float>() + warp * 16 * Tile::kOutStride;
  if (kPairs && all.gated.y != nullptr) {
    return write_gated<Tile>(all, out, row0 + warp_row, col0 + warp_col, sums);
  }
  write<Tile, kSums>(p, all.gate, out, row0 + warp_row, col0 + warp_col, sums);
}
