// Rows of a table of embeddings, with noise in training (NEFTune, Jain et al. 2023):
//
//   y[t] (+)= scale·(table[ids[t]] + noise)     noise = bound·(2·fraction - 1), see package philox
//
// and the table's gradient, dtable[ids[t]] += scale·dy[t] for ids other than pad.
//
// ids are I32 [1, tokens], y and dy BF16 [tokens, hidden], the table F32, BF16 or F16, dtable F32.
// Both do nothing once a check of the ids has failed.
//
// Forward: each thread handles 8 elements of a row; each element reads 2 bytes (F32: 4) and writes
// 2, and reads 2 more to accumulate. With noise a Philox block, some 60 instructions, gives 4
// numbers: 15 per element, half of what an H100 SM can do in the time of the element's memory
// traffic.
//
// Backward adds without atomics: the block of an id's first token adds the rows of that id, in
// token order. A block searches for an earlier token of its id and returns if it finds one, which
// costs tokens²/2 comparisons of ids from L2; else it adds the rows of the later ones in registers.
// Memory-bound: 2 bytes per element of dy, and 8 per element of each distinct row.
#include "kernels/elements.cuh"
#include "kernels/entries.h"
#include "kernels/philox.cuh"
#include "runtime/launch.h"

namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;

struct Embed {
  const int32_t* ids;
  AnyVector table;
  bf16* y;
  const Failure* failure;
  int64_t table_stride, y_stride;
  int cols;
  bool accumulate;
  float scale, noise;
  uint64_t seed;
  uint32_t stream, step;
  const uint32_t* place;
  const float* bound;

  // Reads what a graph's replay finds in the device's memory.
  __device__ __forceinline__ void arrive() {
    if (place != nullptr) step += *ptx::global(place);
    if (bound != nullptr) noise = *ptx::global(bound);
  }
};

__device__ __forceinline__ float noise_of(uint32_t random, float bound) {
  return bound * (static_cast<float>(random >> 8) * 0x1p-23f - 1);
}

__global__ void __launch_bounds__(kThreads) embed_eights(Embed e) {
  const int col = (blockIdx.y * kThreads + threadIdx.x) * kEight;
  const uint32_t row = blockIdx.x;
  if (col >= e.cols || e.failure->check != 0) return;
  Eight v = e.table.eight(e.ids[row] * e.table_stride + col);
  if (e.noise > 0) {
    e.arrive();
#pragma unroll
    for (int i = 0; i < kEight; i += 4) {
      uint4 b = philox(e.seed, make_uint4((col + i) / 4, row, e.stream, e.step));
      v.x[i] += noise_of(b.x, e.noise);
      v.x[i + 1] += noise_of(b.y, e.noise);
      v.x[i + 2] += noise_of(b.z, e.noise);
      v.x[i + 3] += noise_of(b.w, e.noise);
    }
  }
  bf16* y = e.y + row * e.y_stride + col;
  Eight to = {};
  if (e.accumulate) to = load8(y);
#pragma unroll
  for (int i = 0; i < kEight; i++) v.x[i] = to.x[i] + e.scale * v.x[i];
  store8(y, v);
}
REGISTER_KERNEL(embed_eights, kThreads, 0);

__global__ void __launch_bounds__(kThreads) embed_elements(Embed e) {
  const int col = blockIdx.y * kThreads + threadIdx.x;
  const uint32_t row = blockIdx.x;
  if (col >= e.cols || e.failure->check != 0) return;
  float v = e.table.one(e.ids[row] * e.table_stride + col);
  if (e.noise > 0) {
    e.arrive();
    uint4 b = philox(e.seed, make_uint4(col / 4, row, e.stream, e.step));
    uint32_t mine = col % 4 == 0 ? b.x : col % 4 == 1 ? b.y : col % 4 == 2 ? b.z : b.w;
    v += noise_of(mine, e.noise);
  }
  bf16* y = e.y + row * e.y_stride + col;
  *y = ptx::from_float<bf16>((e.accumulate ? ptx::to_float(*y) : 0) + e.scale * v);
}
REGISTER_KERNEL(embed_elements, kThreads, 0);

struct EmbedBackward {
  const int32_t* ids;
  const bf16* dy;
  float* dtable;
  const Failure* failure;
  int64_t dy_stride, dtable_stride;
  int tokens, cols, pad;
  float scale;
};

// Adds kWidth elements of a row, from col on, to sum.
template <int kWidth>
__device__ __forceinline__ void add_row(float (&sum)[kWidth], const bf16* row) {
  if constexpr (kWidth == kEight) {
    Eight v = load8(row);
#pragma unroll
    for (int i = 0; i < kEight; i++) sum[i] += v.x[i];
  } else {
    sum[0] += ptx::to_float(row[0]);
  }
}

template <int kWidth>
__global__ void __launch_bounds__(kThreads) embed_gradient(EmbedBackward e) {
  const int token = blockIdx.x, id = e.ids[token];
  if (id == e.pad || e.failure->check != 0) return;
  uint32_t* found = shared_memory<uint32_t>();  // [kWarps], bits of the tokens with the id
  const int warp = threadIdx.x / 32;
  const int col = (blockIdx.y * kThreads + threadIdx.x) * kWidth;
  float sum[kWidth] = {};
  for (int begin = 0; begin < e.tokens; begin += kThreads) {
    int t = begin + static_cast<int>(threadIdx.x);
    uint32_t same = __ballot_sync(0xffffffffu, t < e.tokens && e.ids[t] == id);
    if (threadIdx.x % 32 == 0) found[warp] = same;
    __syncthreads();
    for (int w = 0; w < kWarps; w++) {
      for (uint32_t bits = found[w]; bits != 0; bits &= bits - 1) {
        int at = begin + w * 32 + __ffs(static_cast<int>(bits)) - 1;
        if (at < token) return;  // an earlier token's block adds; all threads return
        if (col < e.cols) add_row(sum, e.dy + at * e.dy_stride + col);
      }
    }
    __syncthreads();
  }
  if (col >= e.cols) return;
  float* to = e.dtable + id * e.dtable_stride + col;
  if constexpr (kWidth == kEight) {
    Eight v = load8(to);
#pragma unroll
    for (int i = 0; i < kEight; i++) v.x[i] += e.scale * sum[i];
    store8(to, v);
  } else {
    *to += e.scale * sum[0];
  }
}
constexpr int kShared = kWarps * sizeof(uint32_t);
REGISTER_INSTANCE(embed_gradient_eights, kThreads, kShared, embed_gradient<kEight>);
REGISTER_INSTANCE(embed_gradient_elements, kThreads, kShared, embed_gradient<1>);

dim3 grid_of(int64_t rows, int64_t cols, bool wide) {
  int64_t each = wide ? kThreads * kEight : kThreads;
  return dim3(static_cast<uint32_t>(rows), static_cast<uint32_t>(ceil_div(cols, each)));
}

}  // namespace

int embed(qlora_context* c, const qlora_embed* op) {
  if (op->y.rows * op->y.cols == 0) return QLORA_OK;
  Embed e{static_cast<const int32_t*>(op->ids.data),
          any(op->table),
          static_cast<bf16*>(op->y.data),
          failure(c),
          op->table.stride,
          op->y.stride,
          static_cast<int>(op->y.cols),
          op->accumulate != 0,
          op->scale,
          op->noise,
          op->seed,
          op->stream,
          op->step,
          op->place,
          op->bound};
  bool wide = !prefers(c, "elements") && eights(op->y) && eights(op->table);
  return launch(c, wide ? "embed_eights" : "embed_elements", wide ? embed_eights : embed_elements,
                grid_of(op->y.rows, op->y.cols, wide), dim3(kThreads), 0, e);
}

int embed_backward(qlora_context* c, const qlora_embed_backward* op) {
  if (op->dy.rows * op->dy.cols == 0) return QLORA_OK;
  EmbedBackward e{static_cast<const int32_t*>(op->ids.data),
                  static_cast<const bf16*>(op->dy.data),
                  static_cast<float*>(op->dtable.data),
                  failure(c),
                  op->dy.stride,
                  op->dtable.stride,
                  static_cast<int>(op->dy.rows),
                  static_cast<int>(op->dy.cols),
                  op->pad,
                  op->scale};
  bool wide = !prefers(c, "elements") && eights(op->dy) && eights(op->dtable);
  return launch(c, wide ? "embed_gradient_eights" : "embed_gradient_elements",
                wide ? embed_gradient<kEight> : embed_gradient<1>,
                grid_of(op->dy.rows, op->dy.cols, wide), dim3(kThreads), kShared, e);
}
