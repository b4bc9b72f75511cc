// Causal attention, forward (Dao 2023): the scores of a tile of queries and a tile of keys stay in
// registers, and the softmax is updated from key tile to key tile.
//
//   S = cap(scale·Q·Kᵀ) + bias + mask    LSE = log(sum(exp(S)) + exp(sink))
//   O = dropout(exp(S - LSE))·V
//
// A block computes 128 queries of one head, 32 per warp, and iterates over the keys that they see,
// 64 at a time (32 for heads wider than 64). A warp's queries are two groups of 16, which share
// what is read of K and V: half the bytes of shared memory, which would be the bound. Heads of 32
// have half the products for as many scores, and the rest of the loop would show: a warp has 64
// queries in four groups, a block 256, and a tile 128 keys, of which a warp computes 32 at a time.
// Of heads wider than 128 a block has 64 queries, 16 per warp.
//
// K and V have two stages: one barrier per key tile, after which the next tile's copies overlap
// this one's arithmetic. Q stays in registers (for heads wider than 128 in shared memory). Of heads
// of 96 and 128 one of the stages is where Q was, so that two blocks share a processor; at 128 what
// Q leaves of that place has two of its eight steps, and the scores of 16 keys at a time are
// computed: the registers are O's. Scores, sums and O are float32; P is rounded to bfloat16 for
// P·V, but its sum is not. A warp skips key tiles that none of its queries sees.
//
//   width                         32     64     96    128    256
//   shared memory, KiB            48     48     36     48     96
//     of the general instance     16     32     48     64     64
//
// The general instance computes a cap in some 10 operations per score, and for dropout one Philox
// block per 8 scores, 8 operations each; a plain score costs 2 operations and an exponential.
//
// FLOPs: 4·head_dim for each pair of a query and a key that it sees; bytes: 4·head_dim for each row
// of Q and O and each row of K and V. At training lengths it is bound by the tensor cores: half of
// 4·D·n² for a sequence of n. Blocks with the most keys start first.
#include "kernels/attend_scores.cuh"
#include "kernels/attend_stream.cuh"

namespace attention {
namespace {

template <int D, bool kGeneral>
struct Forward {
  static constexpr bool kNarrow = D == 32 && !kGeneral;
  static constexpr int kGroups = kGeneral || D > 128 ? 1
                                 : kNarrow           ? 4
                                                     : 2;  // of 16 queries, of a warp
  static constexpr int kQueries = kNarrow ? 256 : D <= 128 ? 128 : 64;
  static constexpr int kThreads = 32 * kQueries / (16 * kGroups);
  static constexpr int kKeys = kNarrow               ? 128
                               : kGeneral && D > 128 ? 16
                               : kGeneral || D > 64  ? 32
                                                     : 64;
  static constexpr int kPart = kNarrow ? 32 : D == 128 && !kGeneral ? 16 : kKeys;  // keys at a time
  static constexpr int kBlocks = kGroups > 1 ? 2 : 1;  // minimum blocks per SM
  static constexpr bool kKeepQ = D <= 128;             // in registers
  // The second stage of K and V is where Q was before it went to registers.
  static constexpr bool kReuse = kGroups == 2 && D > 64;
  static constexpr int kLow =
      D == 128 && !kGeneral ? 2 : 0;            // steps of Q that stay in shared memory
  static constexpr int kTiles = 2 * kKeys * D;  // of one stage, elements
  static constexpr int kShared = (kQueries * D + (kReuse ? 1 : 2) * kTiles) * 2;
  static_assert(kShared <= 99 << 10, "what sm_86, 89 and 120 give a block");
};

template <int D, bool kGeneral>
__global__ void __launch_bounds__(Forward<D, kGeneral>::kThreads, Forward<D, kGeneral>::kBlocks)
    attend_forward(Problem p, Rows q, Rows k, Rows v, Rows o, float* lse, int32_t lse_stride) {
  using Shape = Forward<D, kGeneral>;
  constexpr int kKeys = Shape::kKeys, kTile = kKeys * D, kPart = Shape::kPart;
  const Sequence s = p.sequence(blockIdx.y);
  const int begin = static_cast<int>(gridDim.z - 1 - blockIdx.z) * Shape::kQueries;
  if (begin >= s.queries) return;
  const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
  const int head = blockIdx.x, kv_head = head * p.kv_heads / p.heads;
  bf16* q_tile = shared_memory<bf16>();
  bf16* kv_tiles = q_tile + Shape::kQueries * D;                          // the first stage, [K, V]
  constexpr int kStage = Shape::kReuse ? -Shape::kTiles : Shape::kTiles;  // to the second

  const int last = min(begin + Shape::kQueries, s.queries) - 1;
  const int from = s.first(begin) / kKeys * kKeys, end = s.end(last);
  load<D, Shape::kQueries, Shape::kThreads>(q_tile, q, s.q_row + begin, s.queries - begin,
                                            column_of<kGeneral>(q, head, p), p, thread);
  ptx::async_commit();
  Stream<D, kKeys, Shape::kThreads> keys;
  const int k_column = column_of<kGeneral>(k, kv_head, p);
  const int v_column = column_of<kGeneral>(v, kv_head, p);
  keys.start(k, k_column, v, v_column, s.k_row + from);
  auto load_keys = [&](int key, int stage) {
    bf16* to = kv_tiles + stage * kStage;
    const int count = end - key;  // no query here sees more
    if (p.by16) {
      keys.next(to, count, p);
    } else {
      const int row =
          p.sequence(blockIdx.y).k_row + key;  // read again rather than kept in registers
      gather<D, kKeys, Shape::kThreads>(to, k, row, count, k_column, p);
      gather<D, kKeys, Shape::kThreads>(to + kTile, v, row, count, v_column, p);
    }
  };
  if (from < end) load_keys(from, 0);
  ptx::async_commit();

  constexpr int kGroups = Shape::kGroups;
  constexpr int kRows = 16 * kGroups;
  const int row = kRows * warp, query = begin + row;
  const int seen =
      query < s.queries ? s.end(query) : -kRows;  // its first query sees the keys before
  bf16* own = q_tile + row * D;                   // this warp's rows of Q
  uint32_t a[D / 16][kGroups][4];
  ptx::async_wait<1>();
  __syncthreads();
  if constexpr (Shape::kKeepQ) {
#pragma unroll
    for (int step = 0; step < D / 16; step++) left<D>(a[step], own, 0, step, lane);
  }
  bf16* low =
      q_tile + warp * kGroups * Shape::kLow * 256;  // of Q, as squares that follow each other
  if constexpr (Shape::kLow > 0) {
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 4 * kGroups * Shape::kLow; i++) {
      ptx::store32(low + i * 64 + lane * 2, a[i / (4 * kGroups)][i / 4 % kGroups][i % 4]);
    }
  }

  const float scale2 = (kGeneral ? 1 : p.scale) * kLog2E;
  float out[kGroups][D / 8][4] = {};
  Softmax softmax[kGroups];
  for (int key = from, stage = 0; key < end; key += kKeys, stage ^= 1) {
    ptx::async_wait<0>();
    __syncthreads();  // this tile has arrived, and no warp reads the other stage any more
    if (key + kKeys < end) load_keys(key + kKeys, stage ^ 1);
    ptx::async_commit();
    if (key >= seen + kRows - 1 || key + kKeys <= seen - p.window) continue;

    bf16* k_tile = kv_tiles + stage * kStage;  // and V behind it
#pragma unroll
    for (int part = 0; part < kKeys; part += kPart) {
      const int now = key + part;
      // No query sees the other half.
      if (Shape::kNarrow && part == kKeys / 2 && now >= seen + kRows - 1) break;
      float score[kGroups][kPart / 8][4] = {};
#pragma unroll
      for (int step = 0; step < D / 16; step++) {
        if constexpr (!Shape::kKeepQ) left<D>(a[step], own, 0, step, lane);
        if (step < Shape::kLow) {
#pragma unroll
          for (int g = 0; g < kGroups; g++) {
            ptx::ldmatrix(a[step][g], low + (step * kGroups + g) * 256 + lane * 8);
          }
        }
        add_nt<D>(score, a[step], k_tile, part, step, lane);
      }
      if constexpr (kGeneral) {
        float unused[kPart / 8][4];
        to_scores(score[0], unused, p, s, head, now, lane);
      }
      if (now + kPart > seen || now < seen + kRows - 1 - p.window) {
#pragma unroll
        for (int g = 0; g < kGroups; g++)
          mask<1>(score[g], seen + 16 * g - 1 - now, p.window, lane);
      }
      uint32_t prob[kPart / 16][kGroups][4];
      if (kGeneral && p.mask.threshold > 0) {
        const uint32_t kept = kept_of<kPart / 8>(p, s.q_row + query, head, now, lane);
        take(softmax, prob, score, out, scale2, [&](float x, int n, int i) {
          return x * dropout_factor(p.mask, kept >> (4 * n + i));
        });
      } else {
        take(softmax, prob, score, out, scale2);
      }
#pragma unroll
      for (int step = 0; step < kPart / 16; step++) {
        add_nn<D>(out, prob[step], k_tile, kKeys + part + 16 * step, 0, lane);
      }
    }
  }

  const Sequence again = p.sequence(blockIdx.y);
#pragma unroll
  for (int g = 0; g < kGroups; g++) {
#pragma unroll
    for (int r = 0; r < 2; r++) {
      float sum = softmax[g].total(r), top = kLn2 * softmax[g].shift[r];
      float inverse = sum > 0 ? 1 / sum : 0;
      if (kGeneral && p.sinks != nullptr) {
        const float sink = p.sinks[head], most = fmaxf(top, sink);
        const float factor = ptx::exp2((top - most) * kLog2E);
        sum = sum * factor + ptx::exp2((sink - most) * kLog2E);
        inverse = factor / sum;
        top = most;
      }
#pragma unroll
      for (int n = 0; n < D / 8; n++) {
        out[g][n][2 * r] *= inverse;
        out[g][n][2 * r + 1] *= inverse;
      }
      int i = query + lane / 4 + 16 * g + 8 * r;
      if (lse != nullptr && lane % 4 == 0 && i < again.queries) {
        lse[int64_t{again.q_row + i} * lse_stride + head] = top + logf(sum);
      }
    }
  }
  // Only this warp has read its rows of Q, so they buffer its output, when no warp reads K and V
  // there any more.
  if constexpr (Shape::kReuse) {
    __syncthreads();
  } else {
    __syncwarp();
  }
#pragma unroll
  for (int g = 0; g < kGroups; g++) put<D>(own, 16 * g, 0, out[g], lane);
  __syncwarp();
#pragma unroll
  for (int g = 0; g < kGroups; g++) {
    store<D, D / 8>(o, again.q_row + query + 16 * g, again.queries - query - 16 * g,
                    head * p.head_dim, own, 16 * g, 0, p, lane);
  }
}
REGISTER_WIDTHS(attend_forward, Forward);

}  // namespace
}  // namespace attention

int attend(qlora_context* c, const qlora_attend* op) {
  using namespace attention;
  int status = check(c, "attend", *op);
  if (status != QLORA_OK || op->sequences == 0 || op->longest_q == 0) return status;
  return with_instance(op->head_dim, is_general(c, *op), [&](auto width, auto general) {
    constexpr int kWidth = width;
    constexpr bool kGeneral = general;
    static constexpr Name name("attend_forward", kGeneral, kWidth);
    using Shape = Forward<kWidth, kGeneral>;
    auto tiles = static_cast<uint32_t>((op->longest_q + Shape::kQueries - 1) / Shape::kQueries);
    auto rows = [&](const qlora_tensor& t) { return rows_of(t, op->head_dim); };
    return launch(c, name.text, attend_forward<kWidth, kGeneral>,
                  dim3(op->heads, op->sequences, tiles), dim3(Shape::kThreads), Shape::kShared,
                  problem_of(*op), rows(op->q), rows(op->k), rows(op->v), rows(op->o),
                  static_cast<float*>(op->lse.data), op->lse.stride);
  });
}
