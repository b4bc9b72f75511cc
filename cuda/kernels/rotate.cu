// Rotary position embeddings (Su et al. 2021) in place, halves paired: for i < half, p = position
// of the row, and each head,
//
//   x[i], x[half + i] = x[i]·cos[p][i] - x[half + i]·sin[p][i],
//                       x[half + i]·cos[p][i] + x[i]·sin[p][i]
//
// inverse turns the other way. x is BF16 [tokens, heads·head_dim], cos and sin F32 [positions,
// half]; columns of a head beyond 2·half stay. Does nothing once a check of positions has failed.
//
// A thread takes 8 pairs of kHeads heads of a row: their angles are read once for all of those.
// An element moves 4 bytes (and its share of angles, read from L1 or L2 by what shares the row);
// 3 operations: the floor is the memory's.
#include "kernels/elements.cuh"
#include "kernels/entries.h"
#include "runtime/launch.h"

namespace {

constexpr int kThreads = 128;
constexpr int kHeads = 4;

struct Rotate {
  bf16* x;
  const int32_t* positions;
  const float *cos, *sin;
  const Failure* failure;
  int64_t rows, stride, cos_stride, sin_stride;
  int heads, head_dim, half;
  float sign;
};

// Threads go over the eights of a half, then over groups of heads, then over rows.
__global__ void __launch_bounds__(kThreads) rotate_eights(Rotate r) {
  const uint32_t per_head = r.half / kEight, groups = (r.heads + kHeads - 1) / kHeads;
  const uint32_t t = blockIdx.x * kThreads + threadIdx.x;
  const int64_t row = t / (per_head * groups);
  if (row >= r.rows || r.failure->check != 0) return;
  const uint32_t rest = t % (per_head * groups);
  const int i = static_cast<int>(rest % per_head * kEight);
  const int first = static_cast<int>(rest / per_head * kHeads);
  const int64_t p = r.positions[row];
  const Eight cos = load8(r.cos + p * r.cos_stride + i);
  Eight sin = load8(r.sin + p * r.sin_stride + i);
#pragma unroll
  for (int j = 0; j < kEight; j++) sin.x[j] *= r.sign;
#pragma unroll
  for (int h = 0; h < kHeads; h++) {
    if (first + h >= r.heads) break;
    bf16* at = r.x + row * r.stride + (first + h) * r.head_dim + i;
    Eight a = load8(at), b = load8(at + r.half), turned;
#pragma unroll
    for (int j = 0; j < kEight; j++) turned.x[j] = a.x[j] * cos.x[j] - b.x[j] * sin.x[j];
    store8(at, turned);
#pragma unroll
    for (int j = 0; j < kEight; j++) turned.x[j] = b.x[j] * cos.x[j] + a.x[j] * sin.x[j];
    store8(at + r.half, turned);
  }
}
REGISTER_KERNEL(rotate_eights, kThreads, 0);

// A thread has one pair.
__global__ void __launch_bounds__(kThreads) rotate_pairs(Rotate r) {
  const uint32_t t = blockIdx.x * kThreads + threadIdx.x, per_row = r.heads * r.half;
  const int64_t row = t / per_row;
  if (row >= r.rows || r.failure->check != 0) return;
  const int rest = static_cast<int>(t % per_row);
  const int head = rest / r.half, i = rest % r.half;
  const int64_t p = r.positions[row];
  const float cos = r.cos[p * r.cos_stride + i], sin = r.sin[p * r.sin_stride + i] * r.sign;
  bf16* at = r.x + row * r.stride + head * r.head_dim + i;
  const float a = ptx::to_float(at[0]), b = ptx::to_float(at[r.half]);
  at[0] = ptx::from_float<bf16>(a * cos - b * sin);
  at[r.half] = ptx::from_float<bf16>(b * cos + a * sin);
}
REGISTER_KERNEL(rotate_pairs, kThreads, 0);

}  // namespace

int rotate(qlora_context* c, const qlora_rotate* op) {
  Rotate r{static_cast<bf16*>(op->x.data),
           static_cast<const int32_t*>(op->positions.data),
           static_cast<const float*>(op->cos.data),
           static_cast<const float*>(op->sin.data),
           failure(c),
           op->x.rows,
           op->x.stride,
           op->cos.stride,
           op->sin.stride,
           op->heads,
           op->head_dim,
           static_cast<int>(op->cos.cols),
           op->inverse ? -1.0f : 1.0f};
  if (r.rows == 0) return QLORA_OK;
  if (eights(op->x) && eights(op->cos) && eights(op->sin) && r.head_dim % kEight == 0) {
    int64_t threads = r.rows * (r.half / kEight) * ceil_div(r.heads, kHeads);
    return launch(c, "rotate_eights", rotate_eights,
                  dim3(static_cast<uint32_t>(ceil_div(threads, kThreads))), dim3(kThreads), 0, r);
  }
  int64_t threads = r.rows * r.half * r.heads;
  return launch(c, "rotate_pairs", rotate_pairs,
                dim3(static_cast<uint32_t>(ceil_div(threads, kThreads))), dim3(kThreads), 0, r);
}
