// The variants of gemm for A·Wᵀ, with a weight W in 4 bits decoded inline.
#include "kernels/gemm_instances.cuh"

namespace {

GEMM_KERNEL(gemm_nt_coded_128x256, Tile128x256, QLORA_NT, true);
GEMM_KERNEL(gemm_nt_coded_128x128, Tile128x128, QLORA_NT, true);
GEMM_KERNEL(gemm_nt_coded_64x64, Tile64x64, QLORA_NT, true);
GEMM_KERNEL(gemm_nt_coded_16x128, Tile16x128, QLORA_NT, true);

const GemmVariant kVariants[] = {
    GEMM_VARIANT(gemm_nt_coded_128x256, Tile128x256, QLORA_NT, true),
    GEMM_VARIANT(gemm_nt_coded_128x128, Tile128x128, QLORA_NT, true),
    GEMM_VARIANT(gemm_nt_coded_64x64, Tile64x64, QLORA_NT, true),
    GEMM_VARIANT(gemm_nt_coded_16x128, Tile16x128, QLORA_NT, true),
};

}  // namespace

const GemmVariants gemm_nt_coded = {kVariants, sizeof kVariants / sizeof kVariants[0]};
