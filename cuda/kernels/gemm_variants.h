// The gemm kernels to choose from, one list per layout. A file of variants defines its list; choose
// (gemm_choose.h) picks one for a shape. A new kind of kernel (for one architecture, say) adds
// lines to these lists, with its own `compute` range.
#pragma once

#include "kernels/gemm_product.h"

struct GemmVariant {
  const char* name;
  void (*kernel)(Products);
  int m, n, k;         // the tile of C, and a slice of the contraction
  int warp_m, warp_n;  // the part of C per warp
  int threads, shared_bytes;
  int blocks;                    // per SM
  bool coded;                    // B is a 4-bit weight
  int compute_from, compute_to;  // supported GPUs: 80 for sm_80
};

struct GemmVariants {
  const GemmVariant* list;
  int count;
};

extern const GemmVariants gemm_nt, gemm_nn, gemm_tn, gemm_nt_coded, gemm_nn_coded;
