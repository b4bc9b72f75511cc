// The variants of gemm for Aᵀ·B: gradients of weights.
#include "kernels/gemm_instances.cuh"

namespace {

GEMM_KERNEL(gemm_tn_128x256, Tile128x256, QLORA_TN, false);
GEMM_KERNEL(gemm_tn_128x128, Tile128x128, QLORA_TN, false);
GEMM_KERNEL(gemm_tn_64x64, Tile64x64, QLORA_TN, false);
GEMM_KERNEL(gemm_tn_64x16, Tile64x16, QLORA_TN, false);
GEMM_KERNEL(gemm_tn_16x128, Tile16x128, QLORA_TN, false);

const GemmVariant kVariants[] = {
    GEMM_VARIANT(gemm_tn_128x256, Tile128x256, QLORA_TN, false),
    GEMM_VARIANT(gemm_tn_128x128, Tile128x128, QLORA_TN, false),
    GEMM_VARIANT(gemm_tn_64x64, Tile64x64, QLORA_TN, false),
    GEMM_VARIANT(gemm_tn_64x16, Tile64x16, QLORA_TN, false),
    GEMM_VARIANT(gemm_tn_16x128, Tile16x128, QLORA_TN, false),
};

}  // namespace

const GemmVariants gemm_tn = {kVariants, sizeof kVariants / sizeof kVariants[0]};
