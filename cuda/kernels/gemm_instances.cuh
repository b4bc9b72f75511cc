// Macros for a file of variants: GEMM_KERNEL(name, tile, layout, whether B is a 4-bit weight)
// registers a kernel, and GEMM_VARIANT with the same arguments is its line in the list.
#pragma once

#include "kernels/gemm_mma.cuh"
#include "kernels/gemm_variants.h"

// Every tile fits a block's 99 KiB on sm_86, sm_89 and sm_120; 48 KiB lets two blocks share one of
// those SMs. The sizes are for B in BF16; codes and their tiles need less.
using Tile128x256 = GemmTile<128, 256, 32, 4, 64, 64, 1>;  // 8 warps, 96 KiB
using Tile128x128 = GemmTile<128, 128, 32, 3, 64, 64, 2>;  // 4 warps, 48 KiB
using Tile64x64 = GemmTile<64, 64, 64, 3, 32, 32, 3>;      // 4 warps, 48 KiB: small C
using Tile64x16 = GemmTile<64, 16, 64, 4, 16, 16, 4>;      // 4 warps, 40 KiB: N is a rank
using Tile16x128 = GemmTile<16, 128, 64, 3, 16, 32, 4>;    // 4 warps, 54 KiB: M is a rank

// Codes are decoded in the general loop alone: with the cursors of the other one beside the scales
// the compiler runs out of registers.
template <class Tile, int Layout, bool Coded>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocksOnProcessor)
    gemm_mma(const __grid_constant__ Products all) {
  int row, col;
  const Product& p = place<Tile, Layout, Coded>(all, &row, &col);
  if constexpr (!Coded) {
    if (p.plain) return multiply<Tile, Layout, Coded, true>(all, p, row, col);
  }
  multiply<Tile, Layout, Coded, false>(all, p, row, col);
}

#define GEMM_KERNEL(name, tile, layout, coded)                                             \
  REGISTER_INSTANCE(name, tile::kThreads, (GemmMemory<tile, layout, coded>::kSharedBytes), \
                    gemm_mma<tile, layout, coded>)

#define GEMM_VARIANT(name, tile, layout, coded)   \
  {#name,                                         \
   gemm_mma<tile, layout, coded>,                 \
   tile::kM,                                      \
   tile::kN,                                      \
   tile::kK,                                      \
   tile::kWarpM,                                  \
   tile::kWarpN,                                  \
   tile::kThreads,                                \
   GemmMemory<tile, layout, coded>::kSharedBytes, \
   tile::kBlocksOnProcessor,                      \
   coded,                                         \
   80,                                            \
   1 << 30}
