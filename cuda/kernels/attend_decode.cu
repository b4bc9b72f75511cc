// Causal attention of few queries over many keys, as in generation, without LSE. The cost is
// reading K and V once.
//
// The keys that a sequence's queries see are split into pieces of equal length, a multiple of
// kStep, so that even one sequence occupies the whole GPU. A block computes one piece for the query
// heads of one key head and up to 16 of their queries, which are the 16 rows of the tensor cores'
// left operand: a group shares its loads. Its four warps (two for heads wider than 128) process 16
// keys in turn, each with its own two stages and without a barrier; their results are joined at the
// end, warp by warp. A second kernel joins the pieces in order.
//
// The split depends only on the sequence's lengths and on the number of pieces, which the caller
// chooses: workspace has a row for each if there is more than one. A sink is one more term of the
// sum by which the joined pieces are divided.
//
//   width                         32     64     96    128    256
//   shared memory, KiB            17     34     51     68     72
//
// Bytes: 4·head_dim for each key and key head, and 8·(head_dim + 2) for each piece, query and head;
// FLOPs: 64·head_dim for each key and key head, of which queries·group/16 count.
#include "kernels/attend_scores.cuh"

namespace attention {
namespace {

template <int D, bool kGeneral>
struct Decode {
  static constexpr int kWarps = D <= 128 ? 4 : 2;
  static constexpr int kThreads = 32 * kWarps;
  static constexpr int kKeys = 16;              // per warp tile
  static constexpr int kStep = kKeys * kWarps;  // keys per iteration of a block
  static constexpr bool kKeepQ = D <= 128;      // in registers
  static constexpr int kTile = kKeys * D;
  static constexpr int kShared = (16 * D + kWarps * 4 * kTile) * 2;
  // The warps' sums reuse the memory of their stages, in rows of D + 8, which spreads them over the
  // banks.
  static constexpr int kSumRow = D + 8;
  static_assert(kWarps * 16 * (kSumRow + 2) * 4 <= kWarps * 4 * kTile * 2, "sums fit in stages");
  static_assert(kShared <= 99 << 10, "what sm_86, 89 and 120 give a block");
};

// The partial result of a query over one piece of the keys: unscaled sums of V, then the largest
// score (in powers of 2) and the sum of exp. Without keys the sum of exp is 0 and the sums of V are
// not written.
struct Pieces {
  float* data;  // NULL: the only piece writes O
  int64_t stride;
  __device__ float* at(uint32_t piece, int32_t token, int32_t head, const Problem& p) const {
    return data + piece * stride + (int64_t{token} * p.heads + head) * (p.head_dim + 2);
  }
};

// Writes O of a query and a head from the sums over all of its keys; top is in powers of 2.
__device__ __forceinline__ float joined(float sum, float weight, float top, int32_t head,
                                        const Problem& p) {
  if (p.sinks == nullptr) return sum / weight;
  const float sink = p.sinks[head] * kLog2E, most = fmaxf(top, sink);
  const float factor = ptx::exp2(top - most);
  return sum * factor / (weight * factor + ptx::exp2(sink - most));
}

template <int D, bool kGeneral>
__global__ void __launch_bounds__(Decode<D, kGeneral>::kThreads, 1)
    attend_decode(Problem p, Rows q, Rows k, Rows v, Rows o, Pieces pieces) {
  using Shape = Decode<D, kGeneral>;
  constexpr int kTile = Shape::kTile, kStep = Shape::kStep, kSumRow = Shape::kSumRow;
  const Sequence s = p.sequence(blockIdx.z);
  const int group = p.heads / p.kv_heads;
  const int kv_head = static_cast<int>(blockIdx.y) % p.kv_heads;
  const int k_column = column_of<kGeneral>(k, kv_head, p);
  const int v_column = column_of<kGeneral>(v, kv_head, p);
  // Row r is query r/group of head r%group of the group.
  const int row = static_cast<int>(blockIdx.y) / p.kv_heads * 16, rows = s.queries * group - row;
  if (rows <= 0) return;
  const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
  bf16* q_tile = shared_memory<bf16>();
  bf16* stages = q_tile + 16 * D;
  bf16* tiles = stages + warp * 4 * kTile;  // [stage][K, V]

  const int first = s.first(0);
  const int count = static_cast<int>(gridDim.x), share = (s.keys - first + count - 1) / count;
  const int piece_keys = (share + kStep - 1) / kStep * kStep;
  const int begin = first + static_cast<int>(blockIdx.x) * piece_keys;
  const int end = min(s.keys, begin + piece_keys);

  auto load_keys = [&](int key, int stage) {
    bf16* to = tiles + stage * 2 * kTile;
    load<D, Shape::kKeys, 32>(to, k, s.k_row + key, end - key, k_column, p, lane);
    load<D, Shape::kKeys, 32>(to + kTile, v, s.k_row + key, end - key, v_column, p, lane);
  };
  load<D, 16, Shape::kThreads>(
      q_tile, rows,
      [&](int r) {
        int head = kv_head * group + (row + r) % group;
        return q.at(s.q_row + (row + r) / group, column_of<kGeneral>(q, head, p));
      },
      p, thread);
  ptx::async_commit();
  int key = begin + 16 * warp;
  if (key < end) load_keys(key, 0);
  ptx::async_commit();
  ptx::async_wait<1>();
  __syncthreads();
  uint32_t a[D / 16][1][4];
  if constexpr (Shape::kKeepQ) {
#pragma unroll
    for (int step = 0; step < D / 16; step++) left<D>(a[step], q_tile, 0, step, lane);
  }

  const int query[2] = {(row + lane / 4) / group, (row + lane / 4 + 8) / group};
  const float scale2 = (kGeneral ? 1 : p.scale) * kLog2E;
  float out[1][D / 8][4] = {};
  Softmax softmax[1];
  for (int stage = 0; key < end; key += kStep, stage ^= 1) {
    if (key + kStep < end) load_keys(key + kStep, stage ^ 1);
    ptx::async_commit();
    ptx::async_wait<1>();
    __syncwarp();
    bf16* k_tile = tiles + stage * 2 * kTile;
    float score[1][2][4] = {};
#pragma unroll
    for (int step = 0; step < D / 16; step++) {
      if constexpr (!Shape::kKeepQ) left<D>(a[step], q_tile, 0, step, lane);
      add_nt<D>(score, a[step], k_tile, 0, step, lane);
    }
#pragma unroll
    for (int n = 0; n < 2; n++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        int j = key + 8 * n + 2 * (lane % 4) + i % 2, behind = s.ahead(query[i / 2], j);
        bool seen = static_cast<uint32_t>(behind) < static_cast<uint32_t>(s.window);
        if constexpr (kGeneral) {
          int head = kv_head * group + (row + lane / 4 + i / 2 * 8) % group;
          score[0][n][i] = score_of(score[0][n][i], p).value + bias_of(p, head, j, s);
        }
        if (j >= end || !seen) score[0][n][i] = -INFINITY;
      }
    }
    uint32_t prob[1][1][4];
    take(softmax, prob, score, out, scale2);
    add_nn<D>(out, prob[0], k_tile, Shape::kKeys, 0, lane);
    __syncwarp();  // the next copies overwrite this tile
  }

  __syncthreads();
  float* sums = reinterpret_cast<float*>(stages);     // [warp][row][kSumRow]
  float* tops = sums + Shape::kWarps * 16 * kSumRow;  // [warp][row], and the sums of exp behind
  float* weights = tops + Shape::kWarps * 16;
#pragma unroll
  for (int r = 0; r < 2; r++) {
    int at = warp * 16 + lane / 4 + 8 * r;
    float sum = softmax[0].total(r);
    if (lane % 4 == 0) {
      tops[at] = softmax[0].shift[r];
      weights[at] = sum;
    }
#pragma unroll
    for (int n = 0; n < D / 8; n++) {
      float* to = sums + at * kSumRow + 8 * n + 2 * (lane % 4);
      to[0] = out[0][n][2 * r];
      to[1] = out[0][n][2 * r + 1];
    }
  }
  __syncthreads();
  for (int i = thread; i < 16 * D; i += Shape::kThreads) {
    int r = i / D, column = i % D;
    if (r >= rows || column >= p.head_dim) continue;
    float top = -INFINITY, sum = 0, weight = 0;
#pragma unroll
    for (int w = 0; w < Shape::kWarps; w++) top = fmaxf(top, tops[w * 16 + r]);
#pragma unroll
    for (int w = 0; w < Shape::kWarps; w++) {
      int at = w * 16 + r;
      float factor = weights[at] > 0 ? ptx::exp2(tops[at] - top) : 0;
      weight += factor * weights[at];
      sum += factor * sums[at * kSumRow + column];
    }
    int token = s.q_row + (row + r) / group, head = kv_head * group + (row + r) % group;
    if (pieces.data == nullptr) {
      float y = kGeneral ? joined(sum, weight, top, head, p) : sum / weight;
      o.at(token, head * p.head_dim)[column] = ptx::from_float<bf16>(y);
      continue;
    }
    float* piece = pieces.at(blockIdx.x, token, head, p);
    if (weight > 0) piece[column] = sum;
    if (column == 0) {
      piece[p.head_dim] = top;
      piece[p.head_dim + 1] = weight;
    }
  }
}
REGISTER_WIDTHS(attend_decode, Decode);

constexpr int kJoinThreads = 128;

// Computes O of `rows` pairs of a token and a head, one warp each.
__global__ void __launch_bounds__(kJoinThreads)
    attend_decode_join(Problem p, Rows o, Pieces pieces, int32_t count, int64_t rows) {
  int64_t row = (int64_t{blockIdx.x} * kJoinThreads + threadIdx.x) / 32;
  if (row >= rows) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int token = static_cast<int>(row / p.heads), head = static_cast<int>(row % p.heads);
  float top = -INFINITY;
  for (int i = 0; i < count; i++) top = fmaxf(top, pieces.at(i, token, head, p)[p.head_dim]);
  for (int column = lane; column < p.head_dim; column += 32) {
    float sum = 0, weight = 0;
    for (int i = 0; i < count; i++) {
      const float* piece = pieces.at(i, token, head, p);
      if (!(piece[p.head_dim + 1] > 0)) continue;
      float factor = ptx::exp2(piece[p.head_dim] - top);
      weight += factor * piece[p.head_dim + 1];
      sum += factor * piece[column];
    }
    o.at(token, head * p.head_dim)[column] =
        ptx::from_float<bf16>(joined(sum, weight, top, head, p));
  }
}
REGISTER_KERNEL(attend_decode_join, kJoinThreads, 0);

}  // namespace
}  // namespace attention

int attend_decode(qlora_context* c, const qlora_attend* op) {
  using namespace attention;
  int status = check(c, "attend_decode", *op);
  const int64_t rows = op->q.rows * op->heads;
  if (status != QLORA_OK || op->sequences == 0 || rows == 0) return status;
  const int group = op->heads / op->kv_heads;
  const int64_t blocks = (int64_t{op->longest_q} * group + 15) / 16 * op->kv_heads;
  if (op->mask.threshold > 0) {
    return fail(c, QLORA_UNSUPPORTED, "attend_decode: with dropout");
  }
  if (op->lse.data != nullptr || op->heads % op->kv_heads != 0 || blocks > 65535) {
    return fail(c, QLORA_UNSUPPORTED, "attend_decode: %d queries of %d heads on %d%s",
                op->longest_q, op->heads, op->kv_heads, op->lse.data != nullptr ? " with LSE" : "");
  }
  const bool cut = op->workspace.data != nullptr && op->workspace.rows > 1;
  const auto count = static_cast<int32_t>(cut ? op->workspace.rows : 1);
  if (cut && op->workspace.cols < rows * (op->head_dim + 2)) {
    return fail(c, QLORA_UNSUPPORTED, "attend_decode: the workspace is too small for %d pieces",
                count);
  }
  const Problem p = problem_of(*op);
  const Pieces pieces = {cut ? static_cast<float*>(op->workspace.data) : nullptr,
                         op->workspace.stride};
  auto rows_in = [&](const qlora_tensor& t) { return rows_of(t, op->head_dim); };
  status = with_instance(op->head_dim, is_general(c, *op), [&](auto width, auto general) {
    constexpr int kWidth = width;
    constexpr bool kGeneral = general;
    static constexpr Name name("attend_decode", kGeneral, kWidth);
    using Shape = Decode<kWidth, kGeneral>;
    return launch(c, name.text, attention::attend_decode<kWidth, kGeneral>,
                  dim3(count, static_cast<uint32_t>(blocks), op->sequences), dim3(Shape::kThreads),
                  Shape::kShared, p, rows_in(op->q), rows_in(op->k), rows_in(op->v), rows_in(op->o),
                  pieces);
  });
  if (status != QLORA_OK || !cut) return status;
  auto join_blocks = static_cast<uint32_t>((rows * 32 + kJoinThreads - 1) / kJoinThreads);
  return launch(c, "attend_decode_join", attend_decode_join, dim3(join_blocks), dim3(kJoinThreads),
                0, p, rows_in(op->o), pieces, count, rows);
}
