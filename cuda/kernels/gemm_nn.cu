// The variants of gemm for A·B: gradients of inputs, and of the low-rank products.
#include "kernels/gemm_instances.cuh"

namespace {

GEMM_KERNEL(gemm_nn_128x256, QLORA_NN, Tile128x256);
GEMM_KERNEL(gemm_nn_128x128, QLORA_NN, Tile128x128);
GEMM_KERNEL(gemm_nn_64x64, QLORA_NN, Tile64x64);
GEMM_KERNEL(gemm_nn_64x16, QLORA_NN, Tile64x16);
GEMM_KERNEL(gemm_nn_16x128, QLORA_NN, Tile16x128);

const GemmVariant kVariants[] = {
    GEMM_VARIANT(gemm_nn_128x256, QLORA_NN, Tile128x256),
    GEMM_VARIANT(gemm_nn_128x128, QLORA_NN, Tile128x128),
    GEMM_VARIANT(gemm_nn_64x64, QLORA_NN, Tile64x64),
    GEMM_VARIANT(gemm_nn_64x16, QLORA_NN, Tile64x16),
    GEMM_VARIANT(gemm_nn_16x128, QLORA_NN, Tile16x128),
};

}  // namespace

const GemmVariants gemm_nn = {kVariants, sizeof kVariants / sizeof kVariants[0]};
