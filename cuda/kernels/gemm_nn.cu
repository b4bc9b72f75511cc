// The variants of gemm for A·B: gradients of inputs, and of the low-rank products.
#include "kernels/gemm_instances.cuh"

namespace {

GEMM_KERNEL(gemm_nn_128x256, Tile128x256, QLORA_NN, false);
GEMM_KERNEL(gemm_nn_128x128, Tile128x128, QLORA_NN, false);
GEMM_KERNEL(gemm_nn_64x64, Tile64x64, QLORA_NN, false);
GEMM_KERNEL(gemm_nn_64x16, Tile64x16, QLORA_NN, false);
GEMM_KERNEL(gemm_nn_16x128, Tile16x128, QLORA_NN, false);

const GemmVariant kVariants[] = {
    GEMM_VARIANT(gemm_nn_128x256, Tile128x256, QLORA_NN, false),
    GEMM_VARIANT(gemm_nn_128x128, Tile128x128, QLORA_NN, false),
    GEMM_VARIANT(gemm_nn_64x64, Tile64x64, QLORA_NN, false),
    GEMM_VARIANT(gemm_nn_64x16, Tile64x16, QLORA_NN, false),
    GEMM_VARIANT(gemm_nn_16x128, Tile16x128, QLORA_NN, false),
};

}  // namespace

const GemmVariants gemm_nn = {kVariants, sizeof kVariants / sizeof kVariants[0]};
