// The norm of all gradients as one vector, and the clip factor:
//
//   out = [norm, min(1, max/(norm + 1e-6))]     max 0: [norm, 1]; not finite: [norm, NaN]
//
// Gradients are F32. A block sums the squares of one piece of 16,384 elements in double, thread by
// thread and then as a tree; one more block adds the pieces likewise. No atomics: the bits depend
// only on the parameters' sizes. 4 bytes and one operation in double per element; on GPUs with
// doubles at 1/64 of the rate, an SM still does 2 per cycle, twice what memory delivers.
#include "kernels/entries.h"
#include "kernels/params.cuh"
#include "runtime/launch.h"

namespace {

constexpr int kThreads = 256;
constexpr int kShared = kThreads * sizeof(double);

// The sum over the block, in thread 0.
__device__ __forceinline__ double block_total(double x) {
  double* sums = shared_memory<double>();
  sums[threadIdx.x] = x;
#pragma unroll
  for (uint32_t n = kThreads / 2; n > 0; n /= 2) {
    __syncthreads();
    if (threadIdx.x < n) sums[threadIdx.x] += sums[threadIdx.x + n];
  }
  return threadIdx.x == 0 ? sums[0] : 0;
}

__global__ void __launch_bounds__(kThreads) square_pieces(Params params, double* partial) {
  const int64_t piece = blockIdx.x;
  const int which = params.of_piece(piece);
  const qlora_param& p = params.list[which];
  const float* grad = ptx::global(p.grad);
  const int64_t n = p.n, begin = (piece - params.begins[which]) * QLORA_PIECE;
  const bool wide = aligned(grad);
  double sum = 0;
#pragma unroll 4
  for (int i = 0; i < QLORA_PIECE; i += kThreads * kEight) {
    Eight g = load_share(grad, begin + i + threadIdx.x / 32 * kWarpElements, n, wide);
#pragma unroll
    for (int j = 0; j < kEight; j++) sum += static_cast<double>(g.x[j]) * g.x[j];
  }
  sum = block_total(sum);
  if (threadIdx.x == 0) partial[piece] = sum;
}
REGISTER_KERNEL(square_pieces, kThreads, kShared);

__global__ void __launch_bounds__(kThreads)
    join_squares(const double* partial, int64_t pieces, float max, float* out) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < pieces; i += kThreads) sum += partial[i];
  sum = block_total(sum);
  if (threadIdx.x != 0) return;
  const float norm = static_cast<float>(sqrt(sum));
  out[0] = norm;
  if (!(norm <= 3.402823466e38f)) {  // infinite or not a number
    out[1] = __uint_as_float(0x7fc00000);
  } else {
    out[1] = max > 0 ? fminf(1, max / (norm + 1e-6f)) : 1;
  }
}
REGISTER_KERNEL(join_squares, kThreads, kShared);

}  // namespace

int grad_norm(qlora_context* c, const qlora_grad_norm* op) {
  int64_t pieces = 0;
  for (int i = 0; i < op->count; i++) pieces += ceil_div(op->params[i].n, QLORA_PIECE);
  if (op->table.rows * op->table.cols < param_table_bytes(op->count) + pieces * 8) {
    return fail(c, QLORA_UNSUPPORTED, "grad_norm: a table of less than its parameters and pieces");
  }
  Params params;
  int status = upload_params(c, op->params, op->count, op->table.data, &params, &pieces);
  if (status != QLORA_OK) return status;
  auto* partial = reinterpret_cast<double*>(static_cast<unsigned char*>(op->table.data) +
                                            param_table_bytes(op->count));
  if (pieces > 0) {
    status = launch(c, "square_pieces", square_pieces, dim3(static_cast<uint32_t>(pieces)),
                    dim3(kThreads), kShared, params, partial);
    if (status != QLORA_OK) return status;
  }
  return launch(c, "join_squares", join_squares, dim3(1), dim3(kThreads), kShared, partial, pieces,
                op->max, op->out);
}
