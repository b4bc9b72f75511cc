// Keys and values of new tokens on their way into a cache, and their queries: for each head
//
//   q = rope(norm(q)), in place     keys[rows[t]] = rope(norm(k[t]))     values[rows[t]] = v[t]
//
// with norms of heads and rotations that may be absent: what norm, rope and copy do in up to six
// launches. q, k and v are BF16 [tokens, heads·head_dim], the columns in one or more groups of whole
// heads; rows lie in device memory, so that a graph serves every token. Does nothing once a check of
// positions or rows has failed.
//
// A group of kLanes lanes handles a head, 8 elements each; a lane gets the elements half a head away
// by a shuffle. A head is rounded to BF16 between norm and rotation, as if two kernels ran. It moves
// 4 bytes per element: memory-bound, and for a generated token a launch. Heads wider than 256 or not
// aligned take a warp each, a pair of elements a lane.
#include "kernels/entries.h"
#include "kernels/norm.cuh"
#include "kernels/rope.cuh"

namespace {

using norms::General;
using norms::weights;

constexpr int kThreads = 128;

// Heads of a tensor: where those of a row are read and written.
struct Side {
  bf16* x;
  int64_t stride;
  int heads, group_heads, period;  // heads per group, and elements from one group to the next

  __device__ __forceinline__ int64_t at(int64_t row, int head, int head_dim) const {
    return row * stride + int64_t{head / group_heads} * period + head % group_heads * head_dim;
  }
};

// A norm of heads.
struct HeadNorm {
  AnyVector weight;
  General general;
  float eps;
  bool present;
};

struct Extend {
  Side q, k, v, keys, values;
  Angles q_angles, k_angles;
  HeadNorm q_norm, k_norm;
  const int32_t* rows;
  const Failure* failure;
  int64_t tokens;
  int head_dim;
};

// The place of a group of lanes: a head of one token's queries, keys or values.
struct Place {
  int64_t row;
  int head;
  bool q, k;  // else a value
  __device__ Place(const Extend& e, int64_t number) {
    const int all = e.q.heads + 2 * e.k.heads;
    row = number / all;
    head = static_cast<int>(number % all);
    q = head < e.q.heads;
    if (!q) head -= e.q.heads;
    k = !q && head < e.k.heads;
    if (!q && !k) head -= e.k.heads;
  }
  __device__ __forceinline__ const bf16* from(const Extend& e) const {
    if (q) return e.q.x + e.q.at(row, head, e.head_dim);
    return k ? e.k.x + e.k.at(row, head, e.head_dim) : e.v.x + e.v.at(row, head, e.head_dim);
  }
  __device__ __forceinline__ bf16* to(const Extend& e) const {
    if (q) return e.q.x + e.q.at(row, head, e.head_dim);
    const int64_t at = ptx::global(e.rows)[row];
    return k ? e.keys.x + e.keys.at(at, head, e.head_dim)
             : e.values.x + e.values.at(at, head, e.head_dim);
  }
};

__device__ __forceinline__ uint4 normed(const HeadNorm& n, const Place& at, int heads, int col,
                                        uint4 x, float mean, float r) {
  const int turn = n.general.turn(at.row * heads + at.head);
  const Eight w = weights<true>(n.weight, n.general, turn, col);
  return narrow(norms::normalized<true>(widen(x), w, n.general, turn, col, mean, r));
}

template <int kLanes>
__global__ void __launch_bounds__(kThreads) extend_heads(Extend e) {
  const int lane = threadIdx.x % kLanes, col = lane * kEight;
  const Place at(e, int64_t{blockIdx.x} * (kThreads / kLanes) + threadIdx.x / kLanes);
  const bool in = at.row < e.tokens && col < e.head_dim && e.failure->check == 0;
  uint4 x[1] = {};
  if (in) x[0] = ptx::load128(at.from(e) + col);
  if (e.q_norm.present || e.k_norm.present) {  // every lane takes part in sums and shuffles
    const bool centered = at.q ? e.q_norm.general.centered : e.k_norm.general.centered;
    const float sum = norms::row_mean<kLanes, 1>(x, e.head_dim, 0), mean = centered ? sum : 0;
    const float eps = at.q ? e.q_norm.eps : e.k_norm.eps;
    const float r = norms::row_rstd<kLanes, 1, true>(x, e.head_dim, mean, eps, 0);
    if (in && at.q && e.q_norm.present) x[0] = normed(e.q_norm, at, e.q.heads, col, x[0], mean, r);
    if (in && at.k && e.k_norm.present) x[0] = normed(e.k_norm, at, e.k.heads, col, x[0], mean, r);
  }
  const int half = at.q ? e.q_angles.half : e.k_angles.half, away = half / kEight;
  const int other_lane = col < half ? lane + away : lane - away;  // not used if interleaved
  uint4 other;
  other.x = __shfl_sync(0xffffffffu, x[0].x, other_lane, kLanes);
  other.y = __shfl_sync(0xffffffffu, x[0].y, other_lane, kLanes);
  other.z = __shfl_sync(0xffffffffu, x[0].z, other_lane, kLanes);
  other.w = __shfl_sync(0xffffffffu, x[0].w, other_lane, kLanes);
  if (!in) return;
  if (col < 2 * half && at.q && e.q_angles.valid()) {
    x[0] = narrow(e.q_angles.turned(at.row, col, widen(x[0]), widen(other)));
  }
  if (col < 2 * half && at.k && e.k_angles.valid()) {
    x[0] = narrow(e.k_angles.turned(at.row, col, widen(x[0]), widen(other)));
  }
  ptx::store128(at.to(e) + col, x[0]);
}
REGISTER_INSTANCE(extend_8, kThreads, 0, extend_heads<8>);
REGISTER_INSTANCE(extend_16, kThreads, 0, extend_heads<16>);
REGISTER_INSTANCE(extend_32, kThreads, 0, extend_heads<32>);

// The two columns of a lane's unit: a pair that is rotated, or a column twice that is not.
struct Unit {
  int a, b;
  bool pair;
  __device__ Unit(int i, int half, bool interleaved) : pair(i < half) {
    a = pair && interleaved ? 2 * i : pair ? i : i + half;
    b = pair ? (interleaved ? a + 1 : i + half) : a;
  }
};

__global__ void __launch_bounds__(kThreads) extend_elements(Extend e) {
  const int lane = threadIdx.x % 32;
  const Place at(e, int64_t{blockIdx.x} * (kThreads / 32) + threadIdx.x / 32);
  if (at.row >= e.tokens || e.failure->check != 0) return;  // a whole warp
  const bf16* from = at.from(e);
  bf16* to = at.to(e);
  const Angles& angles = at.q ? e.q_angles : e.k_angles;
  const HeadNorm& norm = at.q ? e.q_norm : e.k_norm;
  const bool norms = (at.q || at.k) && norm.present, turns = (at.q || at.k) && angles.valid();
  const int half = turns ? angles.half : 0, units = e.head_dim - half;
  float mean = 0, r = 1;
  if (norms) {
    float sum = 0;
    if (norm.general.centered) {
      for (int i = lane; i < units; i += 32) {
        const Unit u(i, half, angles.interleaved);
        sum += ptx::to_float(from[u.a]) + (u.pair ? ptx::to_float(from[u.b]) : 0);
      }
      mean = lanes_sum<32>(sum) / static_cast<float>(e.head_dim);
    }
    sum = 0;
    for (int i = lane; i < units; i += 32) {
      const Unit u(i, half, angles.interleaved);
      const float a = ptx::to_float(from[u.a]) - mean;
      const float b = u.pair ? ptx::to_float(from[u.b]) - mean : 0;
      sum += a * a + b * b;
    }
    r = ptx::rsqrt(lanes_sum<32>(sum) / static_cast<float>(e.head_dim) + norm.eps);
  }
  const int turn = norms ? norm.general.turn(at.row * (at.q ? e.q.heads : e.k.heads) + at.head) : 0;
  auto one = [&](int col) {
    const float x = ptx::to_float(from[col]);
    if (!norms) return x;
    const float y = norm.general.normalized(x, norm.weight, turn, col, mean, r);
    return ptx::to_float(ptx::from_float<bf16>(y));
  };
  for (int i = lane; i < units; i += 32) {
    const Unit u(i, half, angles.interleaved);
    const float a = one(u.a), b = one(u.b);
    if (!u.pair) {
      to[u.a] = ptx::from_float<bf16>(a);
      continue;
    }
    const int64_t p = angles.positions[at.row];
    const float cos = angles.cos[p * angles.cos_stride + i];
    const float sin = angles.sin[p * angles.sin_stride + i];
    to[u.a] = ptx::from_float<bf16>(a * cos - b * sin);
    to[u.b] = ptx::from_float<bf16>(b * cos + a * sin);
  }
}
REGISTER_KERNEL(extend_elements, kThreads, 0);

Side side_of(const qlora_tensor& t, int heads, int head_dim) {
  if (t.data == nullptr) return {nullptr, 0, 0, 1, 0};
  const bool grouped = t.width > 0;
  return {static_cast<bf16*>(t.data), t.stride, heads,
          grouped ? static_cast<int>(t.width) / head_dim : heads,
          grouped ? static_cast<int>(t.period) : 0};
}

HeadNorm norm_of(const qlora_head_norm& n) {
  return {any(n.weight), norms::general_of(n.weight, n.bias, {}, n.offset, n.centered != 0), n.eps,
          n.present != 0};
}

// Reports whether eight elements of a head lie and are rotated together.
bool whole(const qlora_tensor& t) {
  return t.data == nullptr || (eights(t) && t.period % kEight == 0);
}

bool whole(const qlora_angles& a) { return a.positions.data == nullptr || in_eights(a); }

}  // namespace

int extend(qlora_context* c, const qlora_extend* op) {
  const int dim = op->head_dim;
  const Extend e{side_of(op->q, op->heads, dim),
                 side_of(op->k, op->kv_heads, dim),
                 side_of(op->v, op->kv_heads, dim),
                 side_of(op->keys, op->kv_heads, dim),
                 side_of(op->values, op->kv_heads, dim),
                 angles_of(c, op->q_angles, false),
                 angles_of(c, op->k_angles, false),
                 norm_of(op->q_norm),
                 norm_of(op->k_norm),
                 static_cast<const int32_t*>(op->rows.data),
                 failure(c),
                 op->k.rows,
                 dim};
  if (e.tokens == 0) return QLORA_OK;
  const int64_t heads = e.tokens * (e.q.heads + 2 * e.k.heads);
  auto grid = [&](int lanes) {
    return dim3(static_cast<uint32_t>(ceil_div(heads, kThreads / lanes)));
  };
  if (dim <= 256 && dim % kEight == 0 && !prefers(c, "elements") && whole(op->q) && whole(op->k) &&
      whole(op->v) && whole(op->keys) && whole(op->values) && whole(op->q_angles) &&
      whole(op->k_angles) && norms::aligned(op->q_norm.weight) && norms::aligned(op->q_norm.bias) &&
      norms::aligned(op->k_norm.weight) && norms::aligned(op->k_norm.bias)) {
    if (dim <= 64) return launch(c, "extend_8", extend_heads<8>, grid(8), dim3(kThreads), 0, e);
    if (dim <= 128) {
      return launch(c, "extend_16", extend_heads<16>, grid(16), dim3(kThreads), 0, e);
    }
    return launch(c, "extend_32", extend_heads<32>, grid(32), dim3(kThreads), 0, e);
  }
  return launch(c, "extend_elements", extend_elements, grid(32), dim3(kThreads), 0, e);
}
