// The variants of gemm for Aᵀ·B: gradients of weights.
#include "kernels/gemm_instances.cuh"

namespace {

GEMM_KERNEL(gemm_tn_128x256, QLORA_TN, Tile128x256);
GEMM_KERNEL(gemm_tn_128x128, QLORA_TN, Tile128x128);
GEMM_KERNEL(gemm_tn_64x64, QLORA_TN, Tile64x64);
GEMM_KERNEL(gemm_tn_64x16, QLORA_TN, Tile64x16);
GEMM_KERNEL(gemm_tn_16x128, QLORA_TN, Tile16x128);

const GemmVariant kVariants[] = {
    GEMM_VARIANT(gemm_tn_128x256, QLORA_TN, Tile128x256),
    GEMM_VARIANT(gemm_tn_128x128, QLORA_TN, Tile128x128),
    GEMM_VARIANT(gemm_tn_64x64, QLORA_TN, Tile64x64),
    GEMM_VARIANT(gemm_tn_64x16, QLORA_TN, Tile64x16),
    GEMM_VARIANT(gemm_tn_16x128, QLORA_TN, Tile16x128),
};

}  // namespace

const GemmVariants gemm_tn = {kVariants, sizeof kVariants / sizeof kVariants[0]};
