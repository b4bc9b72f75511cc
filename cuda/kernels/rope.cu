// Rotary position embeddings (Su et al. 2021) in place, as rope.cuh describes, of queries and of keys
// that have the same angles. x and k are BF16 [tokens, heads·head_dim], the columns in one or more
// groups of whole heads; cos and sin are F32 [positions, half]; columns of a head beyond 2·half are
// unchanged. Does nothing once a check of positions has failed.
//
// Each thread rotates 8 pairs (4 interleaved ones) of kHeads heads of a row and reads their angles
// once. It moves 4 bytes per element (and its share of the angles, from L1 or L2), for 3
// operations: memory-bound.
#include "kernels/entries.h"
#include "kernels/rope.cuh"

namespace {

constexpr int kThreads = 128;
constexpr int kHeads = 4;

// The heads of a tensor.
struct Side {
  bf16* x;
  int64_t stride;
  int heads, group_heads, period;  // heads per group, and elements from one group to the next
};

struct Rope {
  Side q, k;
  Angles angles;
  int64_t rows;
  int head_dim, q_groups, groups;  // of kHeads heads: those of q, and all
};

// Iterates over the heads of a row and returns their first columns.
struct Head {
  int group, in_group;
  __device__ Head(const Side& s, int head)
      : group(head / s.group_heads), in_group(head % s.group_heads) {}
  __device__ __forceinline__ int column(const Side& s, int head_dim) const {
    return group * s.period + in_group * head_dim;
  }
  __device__ __forceinline__ void next(const Side& s) {
    if (++in_group == s.group_heads) {
      in_group = 0;
      group++;
    }
  }
};

__device__ __forceinline__ Side side(const Rope& r, bool keys) {
  return {keys ? r.k.x : r.q.x, keys ? r.k.stride : r.q.stride, keys ? r.k.heads : r.q.heads,
          keys ? r.k.group_heads : r.q.group_heads, keys ? r.k.period : r.q.period};
}

// A thread's place: threads are numbered by units of a head, then groups of kHeads heads, then
// rows.
struct Place {
  int64_t row;
  int unit, first;  // first head
  bool keys;
  __device__ Place(const Rope& r, uint32_t units) {
    const uint32_t t = blockIdx.x * kThreads + threadIdx.x, rest = t % (units * r.groups);
    row = t / (units * r.groups);
    unit = static_cast<int>(rest % units);
    const int group = static_cast<int>(rest / units);
    keys = group >= r.q_groups;
    first = (keys ? group - r.q_groups : group) * kHeads;
  }
};

__global__ void __launch_bounds__(kThreads) rope_halves(Rope r) {
  const Angles& a = r.angles;
  const Place at(r, a.half / kEight);
  if (at.row >= r.rows || a.failure->check != 0) return;
  const int i = at.unit * kEight;
  const int64_t p = a.positions[at.row];
  const Eight cos = load8(a.cos + p * a.cos_stride + i);
  Eight sin = load8(a.sin + p * a.sin_stride + i);
#pragma unroll
  for (int j = 0; j < kEight; j++) sin.x[j] *= a.sign;
  const Side s = side(r, at.keys);
  Head head(s, at.first);
#pragma unroll
  for (int h = 0; h < kHeads; h++, head.next(s)) {
    if (at.first + h >= s.heads) break;
    bf16* to = s.x + at.row * s.stride + head.column(s, r.head_dim) + i;
    Eight x = load8(to), y = load8(to + a.half), turned;
#pragma unroll
    for (int j = 0; j < kEight; j++) turned.x[j] = x.x[j] * cos.x[j] - y.x[j] * sin.x[j];
    store8(to, turned);
#pragma unroll
    for (int j = 0; j < kEight; j++) turned.x[j] = y.x[j] * cos.x[j] + x.x[j] * sin.x[j];
    store8(to + a.half, turned);
  }
}
REGISTER_KERNEL(rope_halves, kThreads, 0);

// The same by units of 8 of a head's rotated dimensions.
__global__ void __launch_bounds__(kThreads) rope_interleaved(Rope r) {
  const Angles& a = r.angles;
  const Place at(r, 2 * a.half / kEight);
  if (at.row >= r.rows || a.failure->check != 0) return;
  const int i = at.unit * kEight;
  const int64_t p = a.positions[at.row];
  const uint4 c = ptx::load128(a.cos + p * a.cos_stride + i / 2);
  const uint4 s = ptx::load128(a.sin + p * a.sin_stride + i / 2);
  const float cos[4] = {__uint_as_float(c.x), __uint_as_float(c.y), __uint_as_float(c.z),
                        __uint_as_float(c.w)};
  const float sin[4] = {__uint_as_float(s.x) * a.sign, __uint_as_float(s.y) * a.sign,
                        __uint_as_float(s.z) * a.sign, __uint_as_float(s.w) * a.sign};
  const Side of = side(r, at.keys);
  Head head(of, at.first);
#pragma unroll
  for (int h = 0; h < kHeads; h++, head.next(of)) {
    if (at.first + h >= of.heads) break;
    bf16* to = of.x + at.row * of.stride + head.column(of, r.head_dim) + i;
    Eight x = load8(to), turned;
#pragma unroll
    for (int j = 0; j < 4; j++) {
      turned.x[2 * j] = x.x[2 * j] * cos[j] - x.x[2 * j + 1] * sin[j];
      turned.x[2 * j + 1] = x.x[2 * j + 1] * cos[j] + x.x[2 * j] * sin[j];
    }
    store8(to, turned);
  }
}
REGISTER_KERNEL(rope_interleaved, kThreads, 0);

// Each thread rotates one pair.
__global__ void __launch_bounds__(kThreads) rope_pairs(Rope r) {
  const Angles& a = r.angles;
  const uint32_t t = blockIdx.x * kThreads + threadIdx.x;
  const uint32_t per_row = (r.q.heads + r.k.heads) * a.half;
  const int64_t row = t / per_row;
  if (row >= r.rows || a.failure->check != 0) return;
  const int rest = static_cast<int>(t % per_row), i = rest % a.half;
  const bool keys = rest / a.half >= r.q.heads;
  const int head = rest / a.half - (keys ? r.q.heads : 0);
  const Side s = side(r, keys);
  const int64_t p = a.positions[row];
  const float cos = a.cos[p * a.cos_stride + i], sin = a.sin[p * a.sin_stride + i] * a.sign;
  bf16* at =
      s.x + row * s.stride + Head(s, head).column(s, r.head_dim) + (a.interleaved ? 2 * i : i);
  bf16* other = at + (a.interleaved ? 1 : a.half);
  const float x = ptx::to_float(*at), y = ptx::to_float(*other);
  *at = ptx::from_float<bf16>(x * cos - y * sin);
  *other = ptx::from_float<bf16>(y * cos + x * sin);
}
REGISTER_KERNEL(rope_pairs, kThreads, 0);

Side side_of(const qlora_tensor& t, int heads, int head_dim) {
  if (t.data == nullptr) return {nullptr, 0, 0, 1, 0};
  const bool grouped = t.width > 0;
  return {static_cast<bf16*>(t.data), t.stride, heads, grouped ? t.width / head_dim : heads,
          grouped ? t.period : 0};
}

}  // namespace

int rope(qlora_context* c, const qlora_rope* op) {
  auto groups = [](int heads) { return static_cast<int>(ceil_div(heads, kHeads)); };
  Rope r{side_of(op->x, op->heads, op->head_dim),
         side_of(op->k, op->kv_heads, op->head_dim),
         angles_of(c, op->angles, op->inverse != 0),
         op->x.rows,
         op->head_dim,
         0,
         0};
  r.q_groups = groups(r.q.heads);
  r.groups = r.q_groups + groups(r.k.heads);
  if (r.rows == 0) return QLORA_OK;
  auto blocks = [](int64_t threads) {
    return dim3(static_cast<uint32_t>(ceil_div(threads, kThreads)));
  };
  const int half = r.angles.half;
  auto whole = [&](const qlora_tensor& t, const Side& s) {
    return t.data == nullptr || (eights(t) && s.period % kEight == 0);
  };
  if (whole(op->x, r.q) && whole(op->k, r.k) && r.head_dim % kEight == 0 && in_eights(op->angles)) {
    if (!r.angles.interleaved) {
      return launch(c, "rope_halves", rope_halves, blocks(r.rows * (half / kEight) * r.groups),
                    dim3(kThreads), 0, r);
    }
    return launch(c, "rope_interleaved", rope_interleaved,
                  blocks(r.rows * (2 * half / kEight) * r.groups), dim3(kThreads), 0, r);
  }
  return launch(c, "rope_pairs", rope_pairs, blocks(r.rows * half * (r.q.heads + r.k.heads)),
                dim3(kThreads), 0, r);
}
