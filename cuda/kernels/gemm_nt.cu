// The variants of gemm for A·Bᵀ: projections, and logits.
#include "kernels/gemm_instances.cuh"

namespace {

GEMM_KERNEL(gemm_nt_128x256, QLORA_NT, Tile128x256);
GEMM_KERNEL(gemm_nt_128x128, QLORA_NT, Tile128x128);
GEMM_KERNEL(gemm_nt_64x64, QLORA_NT, Tile64x64);
GEMM_KERNEL(gemm_nt_64x16, QLORA_NT, Tile64x16);
GEMM_KERNEL(gemm_nt_16x128, QLORA_NT, Tile16x128);

const GemmVariant kVariants[] = {
    GEMM_VARIANT(gemm_nt_128x256, QLORA_NT, Tile128x256),
    GEMM_VARIANT(gemm_nt_128x128, QLORA_NT, Tile128x128),
    GEMM_VARIANT(gemm_nt_64x64, QLORA_NT, Tile64x64),
    GEMM_VARIANT(gemm_nt_64x16, QLORA_NT, Tile64x16),
    GEMM_VARIANT(gemm_nt_16x128, QLORA_NT, Tile16x128),
};

}  // namespace

const GemmVariants gemm_nt = {kVariants, sizeof kVariants / sizeof kVariants[0]};
