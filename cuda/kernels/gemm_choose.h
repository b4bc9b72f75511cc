// Which variant of gemm a shape runs on: the one with the least modelled time.
#pragma once

#include <cstdint>

#include "kernels/gemm_variants.h"

// Clocks of a processor for one slice of a block: the most of what the tensor cores, the shared
// memory and the L2 cache need, at 1024 products, 128 bytes and 32 bytes a clock.
inline double slice_clocks(const GemmVariant& v) {
  double products = double{1} * v.m * v.n * v.k / 1024;
  int warps = v.m / v.warp_m * (v.n / v.warp_n);
  double copied = 2.0 * (v.m + v.n) * v.k;
  double read = 2.0 * (v.warp_m + v.warp_n) * v.k * warps;
  double shared = (copied + read) / 128, l2 = copied / 32;
  double most = products > shared ? products : shared;
  return most > l2 ? most : l2;
}

// Clocks until all blocks are done. Filling the ring and writing C, which nothing overlaps where a
// processor has few blocks, are kEnds.
inline double gemm_clocks(const GemmVariant& v, int64_t m, int64_t n, int64_t k, int64_t pieces,
                          int processors) {
  constexpr double kEnds = 2000;
  int64_t blocks = (m + v.m - 1) / v.m * ((n + v.n - 1) / v.n) * pieces;
  int64_t rounds = (blocks + processors - 1) / processors;
  int64_t slices = (k + pieces * v.k - 1) / (pieces * v.k);
  return rounds * (kEnds + slices * slice_clocks(v));
}

inline const GemmVariant& gemm_choose(const GemmVariants& from, int64_t m, int64_t n, int64_t k,
                                      int64_t pieces, int processors, int compute) {
  const GemmVariant* best = nullptr;
  double least = 0;
  for (int i = 0; i < from.count; i++) {
    const GemmVariant& v = from.list[i];
    if (compute < v.compute_from || compute > v.compute_to) continue;
    double clocks = gemm_clocks(v, m, n, k, pieces, processors);
    if (best == nullptr || clocks < least) best = &v, least = clocks;
  }
  return *best;
}
