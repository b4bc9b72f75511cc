// The kernels that a gemm is chosen from, one list for each layout. A file of variants defines its
// list; choose (gemm_choose.h) takes one of it for a shape. A new kind of kernel (for one
// architecture, say) is more lines of these lists, with a `compute` of its own.
#pragma once

#include "kernels/gemm_product.h"

struct GemmVariant {
  const char* name;
  void (*kernel)(Product);
  int m, n, k;         // the tile of C, and a slice of the contraction
  int warp_m, warp_n;  // of which a warp has as much
  int threads, shared_bytes;
  int blocks;                    // that share a processor
  bool coded;                    // B is a weight in 4 bits
  int compute_from, compute_to;  // the GPUs that it runs on: 80 for sm_80
};

struct GemmVariants {
  const GemmVariant* list;
  int count;
};

extern const GemmVariants gemm_nt, gemm_nn, gemm_tn, gemm_nt_coded, gemm_nn_coded;
