// Chooses the gemm variant for a shape: the one with the least modelled time, or the preferred one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "kernels/gemm_variants.h"

// Clocks of an SM for one slice of a block: the maximum over the tensor cores (1024 products per
// clock), the shared memory (128 bytes) and the L2 cache (32 bytes), and for a 4-bit weight the 4
// instructions that decode a code (4 warps per clock).
inline double gemm_slice_clocks(const GemmVariant& v, int64_t m, int64_t n) {
  int warps = v.m / v.warp_m * (v.n / v.warp_n);
  double weights = double{1} * v.n * v.k, coded = v.coded ? 1 : 0;
  double products = double{1} * v.m * v.n * v.k / 1024;
  double read = 2.0 * (v.warp_m + v.warp_n) * v.k * warps + coded * 4 * weights;
  double shared = (2.0 * (v.m + v.n) * v.k + read) / 128;
  double row_bytes = 2.0 * std::min<int64_t>(v.m, m);
  double col_bytes = (v.coded ? 0.5 : 2.0) * std::min<int64_t>(v.n, n);
  double l2 = (row_bytes + col_bytes) * v.k / 32;
  double decoding = coded * weights * 4 / 128;
  return std::max(std::max(products + decoding, shared), l2);
}

// Clocks until all blocks are done. kEnds are a block's clocks that nothing overlaps: filling the
// ring, and writing C.
inline double gemm_clocks(const GemmVariant& v, int64_t m, int64_t n, int64_t k, int64_t pieces,
                          int processors) {
  constexpr double kEnds = 2000;
  int64_t blocks = (m + v.m - 1) / v.m * ((n + v.n - 1) / v.n) * pieces;
  int64_t resident = int64_t{processors} * v.blocks;
  int64_t slices = (k + pieces * v.k - 1) / (pieces * v.k);
  return (blocks + resident - 1) / resident * kEnds +
         (blocks + processors - 1) / processors * slices * gemm_slice_clocks(v, m, n);
}

// What chooses: the number of processors, their compute capability, and a part of a variant's name,
// which is taken whatever the shape; "": none.
struct GemmChooser {
  int processors, compute;
  const char* preferred;
};

inline const GemmVariant& gemm_choose(const GemmVariants& from, int64_t m, int64_t n, int64_t k,
                                      int64_t pieces, const GemmChooser& by) {
  const GemmVariant* best = nullptr;
  double least = 0;
  for (int i = 0; i < from.count; i++) {
    const GemmVariant& v = from.list[i];
    if (by.compute < v.compute_from || by.compute > v.compute_to) continue;
    if (*by.preferred != 0 && std::strstr(v.name, by.preferred) != nullptr) return v;
    double clocks = gemm_clocks(v, m, n, k, pieces, by.processors);
    if (best == nullptr || clocks < least) best = &v, least = clocks;
  }
  return *best;
}
