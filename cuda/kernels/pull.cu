// The gradients of adapters that need the gradient of an output, DY [tokens, out] in BF16:
//
//   U = scale·DY·B    DB += scale·DYᵀ·XA
//
// in one pass over DY, for up to QLORA_PARTS adapters of one input. Ranks of up to 32; more columns
// would cost more partial sums than the second pass over DY that they save.
//
// A block has 512 columns of DY and a piece of the tokens, which it reads 16 at a time through a
// ring of stages. A warp has 64 of the columns: the fragments of their rows of B stay in registers,
// and the sums of their rows of DB. Both products read the same 16 x 64 of DY, once as it is and
// once transposed. The warps' sums of U go through shared memory and are added in order. A second
// kernel adds the blocks' sums in order, so that bits depend only on the shape and the pieces.
//
// Floor: 2 bytes an element of DY. The partial sums are written and read: 8·r bytes for 512 elements
// of a row of DY, and for each column 8·r bytes a piece; of Llama 3.1 8B at rank 16, 14 to 25 %.
#include <algorithm>

#include "kernels/entries.h"
#include "kernels/gemm_tile.cuh"
#include "runtime/launch.h"

namespace {

constexpr int kWarps = 8, kThreads = 32 * kWarps;
constexpr int kTokens = 16, kStages = 3;
constexpr int kHalf = 256, kOuts = 2 * kHalf;  // columns of a tile, of which a block has two
constexpr int kWarpOuts = kOuts / kWarps, kOutTiles = kWarpOuts / 16;

struct Pull {
  Operand dy, b, xa;
  float* u;   // [pieces of out, tokens, rank]
  float* db;  // [pieces of tokens, out, rank]
  int32_t out, rank;
};

struct Pulls {
  Pull of[QLORA_PARTS];
  uint32_t first[QLORA_PARTS];  // column of blocks of each; no part begins at UINT32_MAX
  int32_t tokens, piece;        // of the tokens: a multiple of 16
};

// A block's shared memory for ranks of up to R.
template <int R>
struct PullMemory {
  using DY = SharedTile<kTokens, kHalf, true, kThreads>;  // A of U: by rows
  using Transposed =
      SharedTile<kTokens, kHalf, false, kThreads>;  // A of DB: the same tile by columns
  using XA = SharedTile<kTokens, R, false, 2 * R>;  // copied by 2·R threads
  using B = SharedTile<kOuts, R, false, kThreads>;
  static constexpr int kStageBytes = 2 * DY::kBytes + XA::kBytes;
  static constexpr int kSumStride = R + 8;  // 8 floats more spread rows over the banks
  static constexpr int kSums = kWarps * kTokens * kSumStride;
  static constexpr int kSharedBytes = kStages * kStageBytes + 2 * kSums * 4;
  static_assert(B::kBytes <= 2 * kSums * 4, "B goes through the memory of the sums");
  static_assert(kSharedBytes <= 99 << 10, "what a block may have on sm_86, sm_89 and sm_120");

  static __device__ bf16* dy(int step, int half) {
    return reinterpret_cast<bf16*>(shared_memory<char>() + step % kStages * kStageBytes +
                                   half * DY::kBytes);
  }
  static __device__ bf16* xa(int step) { return dy(step, 2); }
  static __device__ float* sums(int step) {
    return reinterpret_cast<float*>(shared_memory<char>() + kStages * kStageBytes) +
           step % 2 * kSums;
  }
};

// The pair of registers of column tile j of a fragment of 16 columns.
#define PAIR(fragments, j) \
  {(fragments)[(j) / 2][(j) % 2 * 2], (fragments)[(j) / 2][(j) % 2 * 2 + 1]}

template <int R>
__global__ void __launch_bounds__(kThreads) pull(const __grid_constant__ Pulls all) {
  using Memory = PullMemory<R>;
  using DY = typename Memory::DY;
  using XA = typename Memory::XA;
  constexpr int kColTiles = R / 8, kStride = Memory::kSumStride;
  int part = 0;
#pragma unroll
  for (int i = 1; i < QLORA_PARTS; i++) part += blockIdx.x >= all.first[i];
  const Pull& p = all.of[part];
  const int out_piece = blockIdx.x - all.first[part], out0 = out_piece * kOuts;
  const int row0 = blockIdx.y * all.piece;
  const int steps = (min(all.piece, all.tokens - row0) + kTokens - 1) / kTokens;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;

  auto fetch = [&](int step) {
    if (step < steps) {
      int row = row0 + step * kTokens;
      DY::copy(Memory::dy(step, 0), p.dy, row, out0);
      DY::copy(Memory::dy(step, 1), p.dy, row, out0 + kHalf);
      if (threadIdx.x < 2 * R) XA::copy(Memory::xa(step), p.xa, row, 0);
    }
    ptx::async_commit();  // an empty group at the end, so that waiting counts steps
  };

  using B = typename Memory::B;
  B::copy(reinterpret_cast<bf16*>(Memory::sums(0)), p.b, out0, 0);
  ptx::async_commit();
#pragma unroll 1
  for (int step = 0; step < kStages - 1; step++) fetch(step);
  ptx::async_wait<kStages - 1>();
  __syncthreads();
  uint32_t b[kOutTiles][R / 16][4];
  const uint32_t b_place = B::place_b(0);
#pragma unroll
  for (int s = 0; s < kOutTiles; s++) {
#pragma unroll
    for (int j = 0; j < R / 16; j++) {
      B::load(b[s][j], reinterpret_cast<bf16*>(Memory::sums(0)), b_place, j, kOutTiles * warp + s);
    }
  }

  // Adds the warps' sums of U of a step in order, and writes them.
  auto write_u = [&](int step) {
#pragma unroll
    for (int e = threadIdx.x; e < kTokens * R; e += kThreads) {
      int token = e / R, col = e % R, row = row0 + step * kTokens + token;
      const float* from = Memory::sums(step) + token * kStride + col;
      float sum = 0;
#pragma unroll
      for (int w = 0; w < kWarps; w++) sum += from[w * kTokens * kStride];
      if (row < all.tokens && col < p.rank) {
        p.u[(int64_t{out_piece} * all.tokens + row) * p.rank + col] = sum;
      }
    }
  };

  const int half = warp / (kWarps / 2), first = warp % (kWarps / 2) * kOutTiles;
  const uint32_t dy_place = DY::place_a(0), xa_place = XA::place_b(0);
  const uint32_t transposed = Memory::Transposed::place_a(16 * first);
  float db[kOutTiles][kColTiles][4] = {};
#pragma unroll 1
  for (int step = 0; step < steps; step++) {
    ptx::async_wait<kStages - 2>();
    __syncthreads();  // this step's stage is here; the last step's is free, and its sums are written
    fetch(step + kStages - 1);
    if (step > 0) write_u(step - 1);
    uint32_t xa[R / 16][4];
#pragma unroll
    for (int j = 0; j < R / 16; j++) XA::load(xa[j], Memory::xa(step), xa_place, j, 0);
    float u[kColTiles][4] = {};
#pragma unroll
    for (int s = 0; s < kOutTiles; s++) {
      uint32_t a[4];
      DY::load(a, Memory::dy(step, half), dy_place, 0, first + s);
#pragma unroll
      for (int j = 0; j < kColTiles; j++) {
        uint32_t pair[2] = PAIR(b[s], j);
        ptx::mma(u[j], a, pair);
      }
      Memory::Transposed::load(a, Memory::dy(step, half), transposed, s, 0);
#pragma unroll
      for (int j = 0; j < kColTiles; j++) {
        uint32_t pair[2] = PAIR(xa, j);
        ptx::mma(db[s][j], a, pair);
      }
    }
    float* to = Memory::sums(step) + (warp * kTokens + lane / 4) * kStride + lane % 4 * 2;
#pragma unroll
    for (int j = 0; j < kColTiles; j++) {
#pragma unroll
      for (int i = 0; i < 2; i++) {
        ptx::store64(to + 8 * i * kStride + 8 * j,
                     make_uint2(__float_as_uint(u[j][2 * i]), __float_as_uint(u[j][2 * i + 1])));
      }
    }
  }
  ptx::async_wait<0>();
  __syncthreads();
  write_u(steps - 1);

#pragma unroll
  for (int s = 0; s < kOutTiles; s++) {
#pragma unroll
    for (int i = 0; i < 2; i++) {
      int row = out0 + kWarpOuts * warp + 16 * s + 8 * i + lane / 4;
      float* to = p.db + (int64_t{blockIdx.y} * p.out + row) * p.rank;
      if (row >= p.out) continue;
#pragma unroll
      for (int j = 0; j < kColTiles; j++) {
        int col = 8 * j + lane % 4 * 2;
        if (p.rank % 2 == 0 && col < p.rank) {
          ptx::store64(to + col, make_uint2(__float_as_uint(db[s][j][2 * i]),
                                            __float_as_uint(db[s][j][2 * i + 1])));
        } else {
          if (col < p.rank) to[col] = db[s][j][2 * i];
          if (col + 1 < p.rank) to[col + 1] = db[s][j][2 * i + 1];
        }
      }
    }
  }
}
#undef PAIR

// What adds up a part's sums.
struct Join {
  const float *u, *db;
  bf16* to_u;
  float* to_db;
  int64_t u_stride, db_stride;
  int32_t u_pieces, db_pieces;
  int32_t tokens, out, rank;
  float scale;
};

struct Joins {
  Join of[QLORA_PARTS];
  uint32_t first[QLORA_PARTS];
};

// A thread adds one element's pieces: neighbours have neighbouring elements.
__global__ void __launch_bounds__(kThreads) pull_join(const __grid_constant__ Joins all) {
  int part = 0;
#pragma unroll
  for (int i = 1; i < QLORA_PARTS; i++) part += blockIdx.x >= all.first[i];
  const Join& p = all.of[part];
  int i = static_cast<int>(blockIdx.x - all.first[part]) * kThreads + threadIdx.x;
  const int us = p.tokens * p.rank, dbs = p.out * p.rank;
  const bool of_u = i < us;
  if (!of_u) i -= us;
  if (i >= (of_u ? us : dbs)) return;
  const float* from = (of_u ? p.u : p.db) + i;
  const int pieces = of_u ? p.u_pieces : p.db_pieces, apart = of_u ? us : dbs;
  float sum = 0;
#pragma unroll 4
  for (int piece = 0; piece < pieces; piece++, from += apart) sum += *from;
  const int row = i / p.rank, col = i - row * p.rank;
  if (of_u) {
    p.to_u[row * p.u_stride + col] = ptx::from_float<bf16>(p.scale * sum);
  } else {
    p.to_db[row * p.db_stride + col] += p.scale * sum;
  }
}
REGISTER_KERNEL(pull_join, kThreads, 0);
REGISTER_INSTANCE(pull_16, kThreads, PullMemory<16>::kSharedBytes, pull<16>);
REGISTER_INSTANCE(pull_32, kThreads, PullMemory<32>::kSharedBytes, pull<32>);

// Returns a message if the part is not supported, else NULL.
const char* unsupported(const qlora_pull& op, const qlora_pull& first, int64_t pieces) {
  if (op.dy.rows != first.dy.rows) return "pull: parts of several numbers of tokens";
  if (op.b.cols < 1 || op.b.cols > 32) return "pull: a rank that is not in 1..32";
  if (op.dy.rows * op.b.cols > INT32_MAX || op.dy.cols * op.b.cols > INT32_MAX) {
    return "pull: more than 2^31 elements of U or DB";
  }
  if (op.u_workspace.rows * op.u_workspace.cols <
          ceil_div(op.dy.cols, kOuts) * op.dy.rows * op.b.cols ||
      op.db_workspace.rows * op.db_workspace.cols < pieces * op.dy.cols * op.b.cols) {
    return "pull: a workspace that is too small";
  }
  return nullptr;
}

}  // namespace

int pull_parts(qlora_context* c, const qlora_pull_parts* op) {
  const qlora_pull& first = op->of[0];
  if (op->count < 1 || op->count > QLORA_PARTS || op->pieces < 1) {
    return fail(c, QLORA_UNSUPPORTED, "pull: %d parts in %d pieces", op->count, op->pieces);
  }
  if (first.dy.rows == 0) return QLORA_OK;
  Pulls pulls{};
  Joins joins{};
  pulls.tokens = static_cast<int32_t>(first.dy.rows);
  pulls.piece =
      static_cast<int32_t>(ceil_div(ceil_div(first.dy.rows, op->pieces), kTokens) * kTokens);
  const auto pieces = static_cast<int32_t>(ceil_div(pulls.tokens, pulls.piece));
  uint32_t columns = 0, blocks = 0;
  int64_t most = 0;
  for (int i = 0; i < QLORA_PARTS; i++) {
    pulls.first[i] = joins.first[i] = UINT32_MAX;
    if (i >= op->count) continue;
    const qlora_pull& part = op->of[i];
    if (const char* sentence = unsupported(part, first, pieces)) {
      return fail(c, QLORA_UNSUPPORTED, "%s", sentence);
    }
    most = std::max(most, part.b.cols);
    pulls.first[i] = columns;
    joins.first[i] = blocks;
    const auto out = static_cast<int32_t>(part.dy.cols), rank = static_cast<int32_t>(part.b.cols);
    const auto out_pieces = static_cast<int32_t>(ceil_div(out, kOuts));
    pulls.of[i] = {operand(part.dy),
                   operand(part.b),
                   operand(part.xa),
                   static_cast<float*>(part.u_workspace.data),
                   static_cast<float*>(part.db_workspace.data),
                   out,
                   rank};
    joins.of[i] = {pulls.of[i].u,
                   pulls.of[i].db,
                   static_cast<bf16*>(part.u.data),
                   static_cast<float*>(part.db.data),
                   part.u.stride,
                   part.db.stride,
                   out_pieces,
                   pieces,
                   pulls.tokens,
                   out,
                   rank,
                   part.scale};
    columns += out_pieces;
    blocks += static_cast<uint32_t>(
        ceil_div(int64_t{pulls.tokens} * rank + int64_t{out} * rank, kThreads));
  }
  const bool narrow = most <= 16;
  int status = launch(c, narrow ? "pull_16" : "pull_32", narrow ? pull<16> : pull<32>,
                      dim3(columns, static_cast<uint32_t>(pieces)), dim3(kThreads),
                      narrow ? PullMemory<16>::kSharedBytes : PullMemory<32>::kSharedBytes, pulls);
  if (status != QLORA_OK) return status;
  return launch(c, "pull_join", pull_join, dim3(blocks), dim3(kThreads), 0, joins);
}
