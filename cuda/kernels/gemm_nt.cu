// The variants of gemm for A·Bᵀ: projections, and logits.
#include "kernels/gemm_instances.cuh"

namespace {

GEMM_KERNEL(gemm_nt_128x256, Tile128x256, QLORA_NT, false);
GEMM_KERNEL(gemm_nt_128x128, Tile128x128, QLORA_NT, false);
GEMM_KERNEL(gemm_nt_64x64, Tile64x64, QLORA_NT, false);
GEMM_KERNEL(gemm_nt_64x16, Tile64x16, QLORA_NT, false);
GEMM_KERNEL(gemm_nt_16x128, Tile16x128, QLORA_NT, false);

const GemmVariant kVariants[] = {
    GEMM_VARIANT(gemm_nt_128x256, Tile128x256, QLORA_NT, false),
    GEMM_VARIANT(gemm_nt_128x128, Tile128x128, QLORA_NT, false),
    GEMM_VARIANT(gemm_nt_64x64, Tile64x64, QLORA_NT, false),
    GEMM_VARIANT(gemm_nt_64x16, Tile64x16, QLORA_NT, false),
    GEMM_VARIANT(gemm_nt_16x128, Tile16x128, QLORA_NT, false),
};

}  // namespace

const GemmVariants gemm_nt = {kVariants, sizeof kVariants / sizeof kVariants[0]};
