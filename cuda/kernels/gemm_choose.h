// Chooses the gemm variant for a shape: the one with the least modelled time, or the preferred one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "kernels/gemm_variants.h"

// Returns the bfloat16 products per clock that the tensor cores of an SM do by mma.sync with
// float32 sums: half of the full rate on GeForce cards, and 63 % of wgmma's on sm_90.
inline double gemm_rate(int compute) {
  return compute == 80 ? 1024 : compute == 86 || compute == 89 || compute >= 120 ? 256 : 1290;
}

// Clocks of an SM for one slice of `together` blocks: the maximum over the tensor cores, the shared
// memory (128 bytes per clock), the L2 cache (32 bytes), and a single warp, whose products wait for
// its other instructions (kBetween clocks per mma). For a 4-bit weight the 4 instructions that
// decode a code (4 warps per clock) come on top of the products.
inline double gemm_slice_clocks(const GemmVariant& v, int64_t m, int64_t n, int64_t together,
                                int compute) {
  constexpr double kBetween = 5, kMma = 16 * 8 * 16;
  int warps = v.m / v.warp_m * (v.n / v.warp_n);
  double weights = double{1} * v.n * v.k, coded = v.coded ? 1 : 0;
  double products = double{1} * v.m * v.n * v.k / gemm_rate(compute);
  double read = 2.0 * (v.warp_m + v.warp_n) * v.k * warps + coded * 4 * weights;
  double shared = (2.0 * (v.m + v.n) * v.k + read) / 128;
  double row_bytes = 2.0 * std::min<int64_t>(v.m, m);
  double col_bytes = (v.coded ? 0.5 : 2.0) * std::min<int64_t>(v.n, n);
  double l2 = (row_bytes + col_bytes) * v.k / 32;
  double decoding = coded * weights * 4 / 128;
  double mmas = v.warp_m * v.warp_n * v.k / kMma;
  double warp = mmas * (4 * kMma / gemm_rate(compute) + kBetween) + decoding;
  return std::max(warp, together * std::max(std::max(products + decoding, shared), l2));
}

// The shape of what a launch computes.
struct GemmShape {
  int64_t m, k, pieces;  // k is the sum of all contractions
  int64_t n[QLORA_PARTS];
  int parts;  // with a C of their own

  int64_t widest() const { return *std::max_element(n, n + parts); }

  int64_t tile_columns(const GemmVariant& v) const {
    int64_t all = 0;
    for (int i = 0; i < parts; i++) all += (n[i] + v.n - 1) / v.n;
    return all;
  }
};

// Clocks until all blocks are done, in rounds of as many as fit the SMs; the last round may have
// fewer on each. kEnds are a block's clocks that nothing overlaps: filling the ring, and writing C.
inline double gemm_clocks(const GemmVariant& v, const GemmShape& s, int processors, int compute) {
  constexpr double kEnds = 2000;
  int64_t blocks = (s.m + v.m - 1) / v.m * s.tile_columns(v) * s.pieces;
  int64_t resident = int64_t{processors} * v.blocks;
  int64_t slices = (s.k + s.pieces * v.k - 1) / (s.pieces * v.k);
  auto round = [&](int64_t together) {
    return slices * gemm_slice_clocks(v, s.m, s.widest(), together, compute) + kEnds;
  };
  int64_t rest = blocks % resident;
  return blocks / resident * round(v.blocks) +
         (rest > 0 ? round((rest + processors - 1) / processors) : 0);
}

// What chooses: the number of processors, their compute capability, and a part of a variant's name,
// which is taken whatever the shape; "": none.
struct GemmChooser {
  int processors, compute;
  const char* preferred;
};

inline const GemmVariant& gemm_choose(const GemmVariants& from, const GemmShape& shape,
                                      const GemmChooser& by) {
  const GemmVariant* best = nullptr;
  double least = 0;
  for (int i = 0; i < from.count; i++) {
    const GemmVariant& v = from.list[i];
    if (by.compute < v.compute_from || by.compute > v.compute_to) continue;
    if (*by.preferred != 0 && std::strstr(v.name, by.preferred) != nullptr) return v;
    double clocks = gemm_clocks(v, shape, by.processors, by.compute);
    if (best == nullptr || clocks < least) best = &v, least = clocks;
  }
  return *best;
}
