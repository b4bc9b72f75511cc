// Rotary position embeddings (Su et al. 2021) in place: for i < half, p = position of the row, and
// each head, the pairs (a, b) = (x[i], x[half + i]), or interleaved (x[2i], x[2i + 1]), become
//
//   a·cos[p][i] - b·sin[p][i], b·cos[p][i] + a·sin[p][i]
//
// inverse rotates the other way. x is BF16 [tokens, heads·head_dim], its columns in one or more
// groups of whole heads; cos and sin are F32 [positions, half]; columns of a head beyond 2·half are
// unchanged. Does nothing once a check of positions has failed.
//
// Each thread rotates 8 pairs (4 interleaved ones) of kHeads heads of a row and reads their angles
// once. It moves 4 bytes per element (and its share of the angles, from L1 or L2), for 3
// operations: memory-bound.
#include "kernels/elements.cuh"
#include "kernels/entries.h"
#include "runtime/launch.h"

namespace {

constexpr int kThreads = 128;
constexpr int kHeads = 4;

struct Rope {
  bf16* x;
  const int32_t* positions;
  const float *cos, *sin;
  const Failure* failure;
  int64_t rows, stride, cos_stride, sin_stride;
  int heads, head_dim, half;
  int group_heads, period;  // heads per group, and elements from one group to the next
  float sign;
  bool interleaved;
};

// Iterates over the heads of a row and returns their first columns.
struct Head {
  int group, in_group;
  __device__ Head(const Rope& r, int head)
      : group(head / r.group_heads), in_group(head % r.group_heads) {}
  __device__ __forceinline__ int column(const Rope& r) const {
    return group * r.period + in_group * r.head_dim;
  }
  __device__ __forceinline__ void next(const Rope& r) {
    if (++in_group == r.group_heads) {
      in_group = 0;
      group++;
    }
  }
};

// Threads are numbered by units of 8 of a half, then groups of kHeads heads, then rows.
__global__ void __launch_bounds__(kThreads) rope_halves(Rope r) {
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
  Head head(r, first);
#pragma unroll
  for (int h = 0; h < kHeads; h++, head.next(r)) {
    if (first + h >= r.heads) break;
    bf16* at = r.x + row * r.stride + head.column(r) + i;
    Eight a = load8(at), b = load8(at + r.half), turned;
#pragma unroll
    for (int j = 0; j < kEight; j++) turned.x[j] = a.x[j] * cos.x[j] - b.x[j] * sin.x[j];
    store8(at, turned);
#pragma unroll
    for (int j = 0; j < kEight; j++) turned.x[j] = b.x[j] * cos.x[j] + a.x[j] * sin.x[j];
    store8(at + r.half, turned);
  }
}
REGISTER_KERNEL(rope_halves, kThreads, 0);

// The same by units of 8 of a head's rotated dimensions.
__global__ void __launch_bounds__(kThreads) rope_interleaved(Rope r) {
  const uint32_t per_head = 2 * r.half / kEight, groups = (r.heads + kHeads - 1) / kHeads;
  const uint32_t t = blockIdx.x * kThreads + threadIdx.x;
  const int64_t row = t / (per_head * groups);
  if (row >= r.rows || r.failure->check != 0) return;
  const uint32_t rest = t % (per_head * groups);
  const int i = static_cast<int>(rest % per_head * kEight);
  const int first = static_cast<int>(rest / per_head * kHeads);
  const int64_t p = r.positions[row];
  const uint4 c = ptx::load128(r.cos + p * r.cos_stride + i / 2);
  const uint4 s = ptx::load128(r.sin + p * r.sin_stride + i / 2);
  const float cos[4] = {__uint_as_float(c.x), __uint_as_float(c.y), __uint_as_float(c.z),
                        __uint_as_float(c.w)};
  const float sin[4] = {__uint_as_float(s.x) * r.sign, __uint_as_float(s.y) * r.sign,
                        __uint_as_float(s.z) * r.sign, __uint_as_float(s.w) * r.sign};
  Head head(r, first);
#pragma unroll
  for (int h = 0; h < kHeads; h++, head.next(r)) {
    if (first + h >= r.heads) break;
    bf16* at = r.x + row * r.stride + head.column(r) + i;
    Eight x = load8(at), turned;
#pragma unroll
    for (int j = 0; j < 4; j++) {
      turned.x[2 * j] = x.x[2 * j] * cos[j] - x.x[2 * j + 1] * sin[j];
      turned.x[2 * j + 1] = x.x[2 * j + 1] * cos[j] + x.x[2 * j] * sin[j];
    }
    store8(at, turned);
  }
}
REGISTER_KERNEL(rope_interleaved, kThreads, 0);

// Each thread rotates one pair.
__global__ void __launch_bounds__(kThreads) rope_pairs(Rope r) {
  const uint32_t t = blockIdx.x * kThreads + threadIdx.x, per_row = r.heads * r.half;
  const int64_t row = t / per_row;
  if (row >= r.rows || r.failure->check != 0) return;
  const int rest = static_cast<int>(t % per_row);
  const int head = rest / r.half, i = rest % r.half;
  const int64_t p = r.positions[row];
  const float cos = r.cos[p * r.cos_stride + i], sin = r.sin[p * r.sin_stride + i] * r.sign;
  bf16* at = r.x + row * r.stride + Head(r, head).column(r) + (r.interleaved ? 2 * i : i);
  bf16* other = at + (r.interleaved ? 1 : r.half);
  const float a = ptx::to_float(*at), b = ptx::to_float(*other);
  *at = ptx::from_float<bf16>(a * cos - b * sin);
  *other = ptx::from_float<bf16>(b * cos + a * sin);
}
REGISTER_KERNEL(rope_pairs, kThreads, 0);

}  // namespace

int rope(qlora_context* c, const qlora_rope* op) {
  const bool grouped = op->x.width > 0;
  Rope r{static_cast<bf16*>(op->x.data),
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
         grouped ? op->x.width / op->head_dim : op->heads,
         grouped ? op->x.period : 0,
         op->inverse ? -1.0f : 1.0f,
         op->interleaved != 0};
  if (r.rows == 0) return QLORA_OK;
  auto blocks = [](int64_t threads) {
    return dim3(static_cast<uint32_t>(ceil_div(threads, kThreads)));
  };
  const int64_t head_groups = ceil_div(r.heads, kHeads);
  if (eights(op->x) && r.head_dim % kEight == 0 && r.period % kEight == 0) {
    if (!r.interleaved && eights(op->cos) && eights(op->sin)) {
      return launch(c, "rope_halves", rope_halves, blocks(r.rows * (r.half / kEight) * head_groups),
                    dim3(kThreads), 0, r);
    }
    auto fours = [](const qlora_tensor& t) {
      return t.cols % 4 == 0 && reinterpret_cast<uintptr_t>(t.data) % 16 == 0 && t.stride % 4 == 0;
    };
    if (r.interleaved && fours(op->cos) && fours(op->sin)) {
      return launch(c, "rope_interleaved", rope_interleaved,
                    blocks(r.rows * (2 * r.half / kEight) * head_groups), dim3(kThreads), 0, r);
    }
  }
  return launch(c, "rope_pairs", rope_pairs, blocks(r.rows * r.half * r.heads), dim3(kThreads), 0,
                r);
}
