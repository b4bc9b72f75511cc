// Causal attention, backward (Dao 2023), without atomics and without a gradient in float32:
//
//   P = exp(S - LSE)    delta = rowsum(dO·O)    dS = scale·P·(dropout(dO·Vᵀ) - delta)·cap'
//   dV = dropout(P)ᵀ·dO    dK = dSᵀ·Q    dQ = dS·K    dsink -= sum of exp(sink - LSE)·delta
//
// with S as in forward. Three launches, and a fourth for sinks with one block per head; no two
// blocks write the same element:
//
//   delta     to workspace, negative, F32 [tokens·heads]
//   keys      dK and dV of 128 keys (64 where heads are wider than 128), over the query heads of
//             their group and the queries that see them, 16 or 32 at a time: the sum over a
//             group of heads stays in the accumulators, in their order
//   queries   dQ of 128 (64) queries, over the keys that they see, 16, 32 or 64 at a time
//
// Both passes compute the scores: 7 products, 14·head_dim FLOPs for each pair of a query and a key
// that it sees. 5 would do with dQ summed by atomics, in float32 and in no fixed order. Above 128
// dimensions the accumulators of 16 keys exceed a warp's registers, and two blocks share the
// columns of dK and dV: 9 products.
//
// A warp owns 16 rows, or up to 64 dimensions two groups of 16, which share what is read of the
// others' tiles. The tensor cores subtract delta: the sums of dO·Vᵀ begin with it, but with dropout,
// which comes between. In the pass over keys it works on the transposed scores Sᵀ = K·Qᵀ: the
// result of one product in registers is the left operand of the next, P and dS rounded to bfloat16,
// and nothing goes through shared memory. The pass over queries keeps its left operands, Q and dO,
// in registers if they fit. It reads only its own tile's rows of dO, before it writes them: dQ may
// be dO.
//
// dQ and dK can be rotated back by RoPE's angles on their way to memory, from the rounded rows in
// shared memory. Heads wider than 128 and angles that are not aligned take a launch of rope.
//
//   width                         32     64     96    128    256
//   shared memory, KiB            33   48.5   72.5   96.5  96.25
//     of the general instance  20.25  40.25  60.25  80.25  96.25
#include "kernels/attend_scores.cuh"
#include "kernels/attend_stream.cuh"
#include "kernels/attend_sums.h"
#include "kernels/rope.cuh"

namespace attention {
namespace {

template <int D, bool kGeneral>
struct Backward {
  static constexpr int kGroups = D <= 64 && !kGeneral ? 2 : 1;  // of 16 rows, of a warp
  static constexpr int kOwn = D <= 128 ? 128 : 64;              // rows of the block
  static constexpr int kThreads = 32 * kOwn / (16 * kGroups);
  static constexpr bool kNarrow = D == 32 && !kGeneral;
  static constexpr int kOther = kNarrow               ? 64
                                : kGeneral || D > 128 ? 16
                                                      : 32;  // rows of a tile of the others
  // queries at a time, for keys
  static constexpr int kPart = kNarrow ? 32 : D == 64 && !kGeneral ? 16 : kOther;
  static constexpr int kColumns = D <= 128 ? D : 128;  // of dK and dV
  static constexpr int kParts = D / kColumns;
  static constexpr int kBlocks = D <= 64 && !kGeneral ? 2 : 1;  // minimum blocks per SM
  // Q and dO, in the registers of their pass
  static constexpr bool kKeep = D <= 128 && !(kGeneral && D == 64);
  static constexpr int kRowTile = kOwn * D;
  // Two tiles of own rows, two stages of two tiles of the others, and their LSE and delta.
  static constexpr int kShared = (2 * kRowTile + 4 * kOther * D) * 2 + 4 * kOther * 4;
  static_assert(kShared <= 99 << 10, "what sm_86, 89 and 120 give a block");
};

// Does what store does with all columns of a tile, and rotates them.
template <int D>
__device__ __forceinline__ void store_turned(const Rows& y, int first, int count, int column,
                                             bf16* tile, int row, const Problem& p,
                                             const Angles& angles, int lane) {
  constexpr int kChunks = D / 8;
  const int half = angles.half;
#pragma unroll
  for (int begin = 0; begin < 16 * kChunks; begin += 32) {
    const int i = begin + lane, r = i / kChunks, col = i % kChunks * 8;
    if (r >= count || col >= p.head_dim) continue;
    uint4 x = ptx::load128(at<D>(tile, row + r, col / 8));
    if (col < 2 * half) {
      const int other = angles.interleaved ? col : col < half ? col + half : col - half;
      const Eight pair = widen(ptx::load128(at<D>(tile, row + r, other / 8)));
      x = narrow(angles.turned(first + r, col, widen(x), pair));
    }
    ptx::store128(y.at(first + r, column + col), x);
  }
}

template <int D, bool kGeneral>
__global__ void __launch_bounds__(Backward<D, kGeneral>::kThreads, Backward<D, kGeneral>::kBlocks)
    attend_backward_keys(Problem p, Rows q, Rows k, Rows v, Rows d_o, Rows dk, Rows dv,
                         const float* lse, int32_t lse_stride, const float* minus_delta,
                         Angles angles) {
  using Shape = Backward<D, kGeneral>;
  constexpr int kPart = Shape::kPart, kOther = Shape::kOther, kTile = kOther * D,
                kSums = Shape::kColumns / 8;
  const Sequence s = p.sequence(blockIdx.y);
  const int part = static_cast<int>(blockIdx.z) % Shape::kParts;
  const int begin = static_cast<int>(blockIdx.z) / Shape::kParts * Shape::kOwn;
  if (begin >= s.keys) return;
  const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
  const int kv_head = blockIdx.x;
  bf16* k_tile = shared_memory<bf16>();
  bf16* v_tile = k_tile + Shape::kRowTile;
  bf16* tiles = v_tile + Shape::kRowTile;                     // [stage][Q, dO]
  float* sums = reinterpret_cast<float*>(tiles + 4 * kTile);  // [stage][LSE, -delta][kOther]

  const int last = min(begin + Shape::kOwn, s.keys) - 1;
  // The queries that see one of these keys: [from, end).
  const int from = max(0, -s.ahead(0, begin));
  const int end = s.queries - max(0, s.ahead(s.queries, last) - s.window);
  int head = p.first_head(kv_head), query = from;
  const int head_end = from < end ? p.first_head(kv_head + 1) : head;

  // Copies the queries of `head` from `query` on. They come in order, for each head from `from` on.
  Stream<D, kOther, Shape::kThreads> queries;
  auto load_queries = [&](int stage) {
    bf16* to = tiles + stage * 2 * kTile;
    const int q_column = column_of<kGeneral>(q, head, p), do_column = head * p.head_dim;
    const int count = s.queries - query;
    if (p.by16) {
      if (query == from) queries.start(q, q_column, d_o, do_column, s.q_row + query);
      queries.next(to, count, p);
    } else {
      gather<D, kOther, Shape::kThreads>(to, q, s.q_row + query, count, q_column, p);
      gather<D, kOther, Shape::kThreads>(to + kTile, d_o, s.q_row + query, count, do_column, p);
    }
    if (thread < 2 * kOther) {
      // Rows beyond the last are zero everywhere: their P is 1 (0 in the general instance) and adds
      // 1·0.
      int i = thread % kOther, row = s.q_row + query + i;
      const float* x = thread < kOther ? lse + int64_t{row} * lse_stride + head
                                       : minus_delta + int64_t{row} * p.heads + head;
      ptx::copy_async<4>(sums + stage * 2 * kOther + thread, x, query + i < s.queries ? 4 : 0);
    }
  };

  load<D, Shape::kOwn, Shape::kThreads>(k_tile, k, s.k_row + begin, s.keys - begin,
                                        column_of<kGeneral>(k, kv_head, p), p, thread);
  load<D, Shape::kOwn, Shape::kThreads>(v_tile, v, s.k_row + begin, s.keys - begin,
                                        column_of<kGeneral>(v, kv_head, p), p, thread);
  if (head < head_end) load_queries(0);
  ptx::async_commit();

  constexpr int kGroups = Shape::kGroups;
  const int row = 16 * kGroups * warp, key = begin + row, key_last = key + 16 * kGroups - 1;
  const int t = lane % 4;
  bf16* own = k_tile + row * D;  // this warp's rows of K, and of V kOwn rows behind
  const float scale2 = (kGeneral ? 1 : p.scale) * kLog2E;
  float sum_k[kGroups][kSums][4] = {}, sum_v[kGroups][kSums][4] = {};
  for (int stage = 0; head < head_end; stage ^= 1) {
    ptx::async_wait<0>();
    __syncthreads();  // this tile has arrived, and no warp reads the other stage any more
    const int tile = query, now_head = head;
    query += kOther;
    if (query >= end) {
      query = from;
      head++;
    }
    if (head < head_end) load_queries(stage ^ 1);
    ptx::async_commit();
    if (key >= s.end(tile + kOther - 1) || key_last < s.first(tile)) continue;

#pragma unroll
    for (int done = 0; done < kOther; done += kPart) {
      const int now = tile + done;
      bf16* q_tile = tiles + stage * 2 * kTile;  // and dO behind it
      const float* row_sums = sums + stage * 2 * kOther + done;
      float prob[kGroups][kPart / 8][4] = {};
#pragma unroll
      for (int step = 0; step < D / 16; step++) {
        uint32_t a[kGroups][4];
        left<D>(a, own, 0, step, lane);
        add_nt<D>(prob, a, q_tile, done, step, lane);
      }
      float slope[kPart / 8][4];  // of the general scores
      if constexpr (kGeneral) {
        const float bias[2] = {bias_of(p, now_head, key + lane / 4, s),
                               bias_of(p, now_head, key + lane / 4 + 8, s)};
#pragma unroll
        for (int n = 0; n < kPart / 8; n++) {
#pragma unroll
          for (int i = 0; i < 4; i++) {
            Capped z = score_of(prob[0][n][i], p);
            slope[n][i] = z.slope;
            bool in = now + 8 * n + 2 * t + i % 2 < s.queries;
            prob[0][n][i] = in ? z.value + bias[i / 2] : -INFINITY;
          }
        }
      }
      if (key_last >= s.end(now) || key < s.first(now + kPart - 1)) {
#pragma unroll
        for (int g = 0; g < kGroups; g++) {
          mask<-1>(prob[g], s.ahead(now, key + 16 * g), s.window, lane);
        }
      }
#pragma unroll
      for (int n = 0; n < kPart / 8; n++) {
#pragma unroll
        for (int j = 0; j < 2; j++) {
          const float less = row_sums[8 * n + 2 * t + j] * kLog2E;
#pragma unroll
          for (int g = 0; g < kGroups; g++) {
#pragma unroll
            for (int i = j; i < 4; i += 2) {
              prob[g][n][i] = ptx::exp2(fmaf(prob[g][n][i], scale2, -less));
              if constexpr (kGeneral) slope[n][i] *= prob[g][n][i];
            }
          }
        }
      }
      uint32_t kept = 0xffffffff;
      const bool dropout = kGeneral && p.mask.threshold > 0;
      if (dropout) {
        kept = kept_of_transposed<kPart / 8>(p, s.q_row + now, now_head, key, lane);
#pragma unroll
        for (int i = 0; i < kPart / 2; i++) {
          prob[0][i / 4][i % 4] *= dropout_factor(p.mask, kept >> i);
        }
      }
#pragma unroll
      for (int step = 0; step < kPart / 16; step++) {
        uint32_t a[kGroups][4];
        left(a, prob, step);
        add_nn<D>(sum_v, a, q_tile, kOther + done + 16 * step, part * kSums, lane);
      }
      // The sums of a plain dO·Vᵀ begin with -delta.
      float ds[kGroups][kPart / 8][4] = {};
      if constexpr (!kGeneral) {
#pragma unroll
        for (int i = 0; i < kPart / 2; i++) {
#pragma unroll
          for (int g = 0; g < kGroups; g++) {
            ds[g][i / 4][i % 4] = row_sums[kOther + i / 4 * 8 + 2 * t + i % 2];
          }
        }
      }
#pragma unroll
      for (int step = 0; step < D / 16; step++) {
        uint32_t a[kGroups][4];
        left<D>(a, own, Shape::kOwn, step, lane);
        add_nt<D>(ds, a, q_tile, kOther + done, step, lane);
      }
#pragma unroll
      for (int g = 0; g < kGroups; g++) {
#pragma unroll
        for (int i = 0; i < kPart / 2; i++) {
          float& x = ds[g][i / 4][i % 4];
          if constexpr (kGeneral) {
            if (dropout) x *= dropout_factor(p.mask, kept >> i);
            x = slope[i / 4][i % 4] * (x + row_sums[kOther + i / 4 * 8 + 2 * t + i % 2]);
          } else {
            x *= prob[g][i / 4][i % 4];
          }
        }
      }
#pragma unroll
      for (int step = 0; step < kPart / 16; step++) {
        uint32_t a[kGroups][4];
        left(a, ds, step);
        add_nn<D>(sum_k, a, q_tile, done + 16 * step, part * kSums, lane);
      }
    }
  }

  // Only this warp reads its rows of K and V, so they buffer its output.
  ptx::async_wait<0>();
  __syncthreads();
#pragma unroll
  for (int g = 0; g < kGroups; g++) {
#pragma unroll
    for (int i = 0; i < 4 * kSums; i++) sum_k[g][i / 4][i % 4] *= p.scale;
    put<D>(k_tile, row + 16 * g, part * kSums, sum_k[g], lane);
    put<D>(v_tile, row + 16 * g, part * kSums, sum_v[g], lane);
  }
  __syncwarp();
  const Sequence again = p.sequence(blockIdx.y);  // read again rather than kept in registers
  const int dk_column = column_of<kGeneral>(dk, kv_head, p);
  const int dv_column = column_of<kGeneral>(dv, kv_head, p);
#pragma unroll
  for (int g = 0; g < kGroups; g++) {
    const int own = row + 16 * g, first = again.k_row + begin + own;
    const int count = again.keys - begin - own;
    if (Shape::kParts == 1 && angles.valid()) {
      store_turned<D>(dk, first, count, dk_column, k_tile, own, p, angles, lane);
    } else {
      store<D, kSums>(dk, first, count, dk_column, k_tile, own, part * kSums, p, lane);
    }
    store<D, kSums>(dv, first, count, dv_column, v_tile, own, part * kSums, p, lane);
  }
}
REGISTER_WIDTHS(attend_backward_keys, Backward);

template <int D, bool kGeneral>
__global__ void __launch_bounds__(Backward<D, kGeneral>::kThreads, Backward<D, kGeneral>::kBlocks)
    attend_backward_queries(Problem p, Rows q, Rows k, Rows v, Rows d_o, Rows dq, const float* lse,
                            int32_t lse_stride, const float* minus_delta, Angles angles) {
  using Shape = Backward<D, kGeneral>;
  constexpr int kOther = Shape::kOther, kTile = kOther * D;
  const Sequence s = p.sequence(blockIdx.y);
  const int begin = static_cast<int>(gridDim.z - 1 - blockIdx.z) * Shape::kOwn;
  if (begin >= s.queries) return;
  const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
  const int head = blockIdx.x, kv_head = head * p.kv_heads / p.heads;
  bf16* q_tile = shared_memory<bf16>();
  bf16* do_tile = q_tile + Shape::kRowTile;
  bf16* tiles = do_tile + Shape::kRowTile;  // [stage][K, V]

  const int last = min(begin + Shape::kOwn, s.queries) - 1;
  const int from = s.first(begin) / kOther * kOther, end = s.end(last);
  load<D, Shape::kOwn, Shape::kThreads>(q_tile, q, s.q_row + begin, s.queries - begin,
                                        column_of<kGeneral>(q, head, p), p, thread);
  load<D, Shape::kOwn, Shape::kThreads>(do_tile, d_o, s.q_row + begin, s.queries - begin,
                                        head * p.head_dim, p, thread);
  ptx::async_commit();
  Stream<D, kOther, Shape::kThreads> keys;
  const int k_column = column_of<kGeneral>(k, kv_head, p);
  const int v_column = column_of<kGeneral>(v, kv_head, p);
  keys.start(k, k_column, v, v_column, s.k_row + from);
  auto load_keys = [&](int key, int stage) {
    bf16* to = tiles + stage * 2 * kTile;
    const int count = s.keys - key;
    if (p.by16) {
      keys.next(to, count, p);
    } else {
      gather<D, kOther, Shape::kThreads>(to, k, s.k_row + key, count, k_column, p);
      gather<D, kOther, Shape::kThreads>(to + kTile, v, s.k_row + key, count, v_column, p);
    }
  };
  if (from < end) load_keys(from, 0);
  ptx::async_commit();

  constexpr int kGroups = Shape::kGroups;
  const int row = 16 * kGroups * warp, query = begin + row, query_last = query + 16 * kGroups - 1;
  const float scale2 = (kGeneral ? 1 : p.scale) * kLog2E;
  float row_lse[kGroups][2], row_minus_delta[kGroups][2];  // LSE to the base 2
#pragma unroll
  for (int r = 0; r < 2 * kGroups; r++) {
    int i = query + lane / 4 + 8 * r;
    bool in = i < s.queries;
    row_lse[r / 2][r % 2] = in ? lse[int64_t{s.q_row + i} * lse_stride + head] * kLog2E : 0;
    row_minus_delta[r / 2][r % 2] = in ? minus_delta[int64_t{s.q_row + i} * p.heads + head] : 0;
  }
  bf16* own = q_tile + row * D;  // this warp's rows of Q, and of dO kOwn rows behind
  uint32_t a_q[D / 16][kGroups][4], a_do[D / 16][kGroups][4];
  ptx::async_wait<1>();
  __syncthreads();
  if constexpr (Shape::kKeep) {
#pragma unroll
    for (int step = 0; step < D / 16; step++) {
      left<D>(a_q[step], own, 0, step, lane);
      left<D>(a_do[step], own, Shape::kOwn, step, lane);
    }
  }
  float sum[kGroups][D / 8][4] = {};
  for (int key = from, stage = 0; key < end; key += kOther, stage ^= 1) {
    ptx::async_wait<0>();
    __syncthreads();  // this tile has arrived, and no warp reads the other stage any more
    if (key + kOther < end) load_keys(key + kOther, stage ^ 1);
    ptx::async_commit();
    if (query >= s.queries || key >= s.end(query_last) || key + kOther <= s.first(query)) continue;

    bf16* k_tile = tiles + stage * 2 * kTile;  // and V behind it
    float prob[kGroups][kOther / 8][4] = {}, ds[kGroups][kOther / 8][4] = {};
#pragma unroll
    for (int step = 0; step < D / 16; step++) {
      if constexpr (!Shape::kKeep) left<D>(a_q[step], own, 0, step, lane);
      add_nt<D>(prob, a_q[step], k_tile, 0, step, lane);
    }
    float slope[kOther / 8][4];  // of the general scores
    if constexpr (kGeneral) to_scores(prob[0], slope, p, s, head, key, lane);
    if (key + kOther > s.end(query) || key < s.first(query_last)) {
#pragma unroll
      for (int g = 0; g < kGroups; g++) {
        mask<1>(prob[g], s.ahead(query + 16 * g, key), s.window, lane);
      }
    }
    if constexpr (kGeneral) {
#pragma unroll
      for (int i = 0; i < kOther / 2; i++) {
        float& x = prob[0][i / 4][i % 4];
        x = ptx::exp2(fmaf(x, scale2, -row_lse[0][i % 4 / 2])) * slope[i / 4][i % 4];
      }
    } else {
      // The sums of a plain dO·Vᵀ begin with -delta.
#pragma unroll
      for (int g = 0; g < kGroups; g++) {
#pragma unroll
        for (int i = 0; i < kOther / 2; i++) ds[g][i / 4][i % 4] = row_minus_delta[g][i % 4 / 2];
      }
    }
#pragma unroll
    for (int step = 0; step < D / 16; step++) {
      if constexpr (!Shape::kKeep) left<D>(a_do[step], own, Shape::kOwn, step, lane);
      add_nt<D>(ds, a_do[step], k_tile, kOther, step, lane);
    }
    if (kGeneral && p.mask.threshold > 0) {
      const uint32_t kept = kept_of<kOther / 8>(p, s.q_row + query, head, key, lane);
#pragma unroll
      for (int i = 0; i < kOther / 2; i++) {
        ds[0][i / 4][i % 4] *= dropout_factor(p.mask, kept >> i);
      }
    }
#pragma unroll
    for (int g = 0; g < kGroups; g++) {
#pragma unroll
      for (int i = 0; i < kOther / 2; i++) {
        float &x = ds[g][i / 4][i % 4], weight = prob[g][i / 4][i % 4];
        if constexpr (kGeneral) {
          x += row_minus_delta[g][i % 4 / 2];
        } else {
          weight = ptx::exp2(fmaf(weight, scale2, -row_lse[g][i % 4 / 2]));
        }
        x *= weight;
      }
    }
#pragma unroll
    for (int step = 0; step < kOther / 16; step++) {
      uint32_t a[kGroups][4];
      left(a, ds, step);
      add_nn<D>(sum, a, k_tile, 16 * step, 0, lane);
    }
  }

  __syncwarp();
#pragma unroll
  for (int g = 0; g < kGroups; g++) {
#pragma unroll
    for (int i = 0; i < D / 2; i++) sum[g][i / 4][i % 4] *= p.scale;
    put<D>(q_tile, row + 16 * g, 0, sum[g], lane);  // no other warp reads these rows
  }
  __syncwarp();
  const int column = column_of<kGeneral>(dq, head, p);
#pragma unroll
  for (int g = 0; g < kGroups; g++) {
    const int own = row + 16 * g, first = s.q_row + begin + own, count = s.queries - begin - own;
    if (Shape::kParts == 1 && angles.valid()) {
      store_turned<D>(dq, first, count, column, q_tile, own, p, angles, lane);
    } else {
      store<D, D / 8>(dq, first, count, column, q_tile, own, 0, p, lane);
    }
  }
}
REGISTER_WIDTHS(attend_backward_queries, Backward);

// Rotates the queries' or the keys' gradient, unless the kernel has.
int turn_back(qlora_context* c, const qlora_tensor& x, int heads, int head_dim,
              const qlora_angles& angles, bool turned) {
  if (turned || angles.positions.data == nullptr) return QLORA_OK;
  const qlora_rope op{x, {}, heads, 0, head_dim, angles, 1};
  return rope(c, &op);
}

}  // namespace
}  // namespace attention

int attend_backward(qlora_context* c, const qlora_attend_backward* op) {
  using namespace attention;
  const qlora_attend& f = op->forward;
  int status = check(c, "attend_backward", f);
  const int64_t rows = f.q.rows * f.heads;
  if (status != QLORA_OK || f.sequences == 0 || f.k.rows == 0) return status;
  if (op->workspace.data == nullptr || op->workspace.rows * op->workspace.cols < rows) {
    return fail(c, QLORA_UNSUPPORTED, "attend_backward: the workspace is too small for %lld sums",
                static_cast<long long>(rows));
  }
  Problem p = problem_of(f);
  p.by16 = p.by16 && by16(op->d_o) && by16(op->dq) && by16(op->dk) && by16(op->dv);
  auto* minus_delta = static_cast<float*>(op->workspace.data);
  const auto* lse = static_cast<const float*>(f.lse.data);
  auto rows_in = [&](const qlora_tensor& t) { return rows_of(t, f.head_dim); };
  Rows q = rows_in(f.q), k = rows_in(f.k), v = rows_in(f.v), d_o = rows_in(op->d_o);
  Rows dq = rows_in(op->dq), dk = rows_in(op->dk), dv = rows_in(op->dv);
  if (rows > 0) status = delta_sums(c, p, d_o, rows_in(f.o), rows, minus_delta);
  if (status == QLORA_OK && rows > 0 && op->dsinks.data != nullptr) {
    status = sink_gradients(c, p, f, minus_delta, static_cast<float*>(op->dsinks.data));
  }
  if (status != QLORA_OK) return status;
  auto turns = [&](const qlora_angles& a) {
    return a.positions.data != nullptr && p.by16 && f.head_dim <= 128 && in_eights(a);
  };
  const bool turns_q = turns(op->q_angles), turns_k = turns(op->k_angles);
  const Angles q_angles = turns_q ? angles_of(c, op->q_angles, true) : Angles{};
  const Angles k_angles = turns_k ? angles_of(c, op->k_angles, true) : Angles{};
  const bool grouped = op->dq.width > 0 || op->dk.width > 0 || op->dv.width > 0;
  status = with_instance(f.head_dim, is_general(c, f) || grouped, [&](auto width, auto general) {
    constexpr int kWidth = width;
    constexpr bool kGeneral = general;
    static constexpr Name keys("attend_backward_keys", kGeneral, kWidth);
    static constexpr Name queries("attend_backward_queries", kGeneral, kWidth);
    using Shape = Backward<kWidth, kGeneral>;
    auto tiles = [](int longest) {
      return static_cast<uint32_t>((longest + Shape::kOwn - 1) / Shape::kOwn);
    };
    int s = launch(c, keys.text, attend_backward_keys<kWidth, kGeneral>,
                   dim3(f.kv_heads, f.sequences, tiles(f.longest_k) * Shape::kParts),
                   dim3(Shape::kThreads), Shape::kShared, p, q, k, v, d_o, dk, dv, lse,
                   f.lse.stride, minus_delta, k_angles);
    if (s != QLORA_OK || rows == 0) return s;
    return launch(c, queries.text, attend_backward_queries<kWidth, kGeneral>,
                  dim3(f.heads, f.sequences, tiles(f.longest_q)), dim3(Shape::kThreads),
                  Shape::kShared, p, q, k, v, d_o, dq, lse, f.lse.stride, minus_delta, q_angles);
  });
  if (status == QLORA_OK) status = turn_back(c, op->dq, f.heads, f.head_dim, op->q_angles, turns_q);
  if (status != QLORA_OK) return status;
  return turn_back(c, op->dk, f.kv_heads, f.head_dim, op->k_angles, turns_k);
}
