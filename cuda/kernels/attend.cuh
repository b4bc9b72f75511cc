// Shared by the attention kernels: which keys a query sees, tiles of rows in shared memory, and the
// two products.
//
// Q, K, V, O and their gradients are [tokens, heads·head_dim], sequences packed one after the
// other, and query head h reads key head h·kv_heads/heads. head_dim is 1 to 256: tiles have the
// next width of 32, 64, 96, 128 and 256, padded with zeros.
//
// Each kernel has a plain instance, whose scores are scale·Q·Kᵀ, and a general one, with kGeneral,
// for everything else: heads in groups of columns, a soft cap, a key bias, sinks, and dropout of P.
// The general instance uses smaller tiles, which frees registers for these.
#pragma once

#include <type_traits>

#include "kernels/entries.h"
#include "runtime/launch.h"

namespace attention {

constexpr float kLog2E = 1.4426950408889634f;
constexpr float kLn2 = 0.6931471805599453f;

// A [tokens, heads·head_dim] matrix.
struct Rows {
  bf16* data;
  int32_t stride;
  int32_t group_heads, period;  // heads per group, and elements from one group to the next
  __device__ bf16* at(int32_t row, int32_t column) const {
    return data + (int64_t{row} * stride + column);
  }
};

// One sequence. Queries and keys are numbered from its start.
struct Sequence {
  int32_t q_row, k_row;  // its first row in Q and in K
  int32_t queries, keys;
  int32_t window;  // the maximum value if there is none

  // Returns how many positions key j is behind query i, which sees j if that is in [0, window).
  __device__ int32_t ahead(int32_t i, int32_t j) const { return i + keys - queries - j; }
  // Query i sees the keys [first(i), end(i)).
  __device__ int32_t end(int32_t i) const { return ahead(i, 0) + 1; }
  __device__ int32_t first(int32_t i) const { return max(0, end(i) - window); }
};

struct Problem {
  const int32_t *q_starts, *k_starts;
  int32_t heads, kv_heads, head_dim, window;
  float scale;
  int32_t by16;  // every head's rows start at multiples of 16 bytes

  // For the general instances; absent: NULL, cap 0, mask threshold 0.
  float cap;
  const float* key_bias;
  int64_t bias_stride;
  const float* sinks;
  qlora_mask mask;

  __device__ Sequence sequence(uint32_t number) const {
    int32_t q = q_starts[number], k = k_starts[number];
    return {q, k, q_starts[number + 1] - q, k_starts[number + 1] - k, window};
  }

  // The query heads [first_head(h), first_head(h + 1)) read key head h.
  __device__ int32_t first_head(int32_t kv_head) const {
    return (kv_head * heads + kv_heads - 1) / kv_heads;
  }
};

// Returns the first column of a head in x.
template <bool kGeneral>
__device__ __forceinline__ int32_t column_of(const Rows& x, int32_t head, const Problem& p) {
  if constexpr (!kGeneral) return head * p.head_dim;
  return head / x.group_heads * x.period + head % x.group_heads * p.head_dim;
}

// ---- tiles ----------------------------------------------------------------------------------

// Returns the 8 elements `chunk + odd` of a row; odd is 0 or 1, and 1 only with an even chunk. Rows
// are multiples of 64 bytes; chunks are permuted within 128 (64) bytes, so that one chunk of 8 rows
// lies in 8 different groups of banks. If chunk is a constant, the compiler keeps one address for
// each position within the group, at any row width.
template <int D>
__device__ __forceinline__ bf16* at(bf16* tile, uint32_t row, uint32_t chunk, uint32_t odd = 0) {
  constexpr uint32_t kGroup = D % 64 == 0 ? 8 : 4;
  uint32_t swizzle = (kGroup == 8 ? row & 7 : row >> 1 & 3) ^ odd;
  uint32_t place =
      row * D + swizzle * 8;  // XOR, because one instruction then adds a constant chunk
  return tile + (chunk & ~(kGroup - 1)) * 8 + (place ^ (chunk & (kGroup - 1)) * 8);
}

// Returns the elements `chunk` after those at x, the first or second of a tile's row: one
// instruction for each place in a group, as tiles begin at multiples of 128 bytes.
template <int D>
__device__ __forceinline__ bf16* moved(bf16* x, uint32_t chunk) {
  constexpr uint32_t kGroup = D % 64 == 0 ? 8 : 4;
  return ptx::flipped(x, chunk % kGroup * 16) + chunk / kGroup * kGroup * 8;
}

// Copies rows that are not aligned into a tile of Count rows with Threads threads, element by
// element: row i starts at from(i). Elements beyond `count` rows and head_dim become zero.
template <int D, int Count, int Threads, class From>
__device__ __forceinline__ void gather(bf16* tile, int count, From from, const Problem& p,
                                       int thread) {
  constexpr int kChunks = D / 8;
#pragma unroll 1
  for (int i = thread; i < Count * kChunks; i += Threads) {
    int row = i / kChunks, chunk = i % kChunks;
    const bf16* x = from(row) + 8 * chunk;
    int left = row < count ? p.head_dim - 8 * chunk : 0;
    uint32_t pair[4] = {};
#pragma unroll
    for (int j = 0; j < 8; j++) {
      if (j < left) pair[j / 2] |= static_cast<uint32_t>(x[j].bits) << 16 * (j % 2);
    }
    ptx::store128(at<D>(tile, row, chunk), make_uint4(pair[0], pair[1], pair[2], pair[3]));
  }
}

// The same for rows that may be aligned, and are then copied asynchronously.
template <int D, int Count, int Threads, class From>
__device__ __forceinline__ void load(bf16* tile, int count, From from, const Problem& p,
                                     int thread) {
  constexpr int kChunks = D / 8, kAll = Count * kChunks;
  if (!p.by16) {
    gather<D, Count, Threads>(tile, count, from, p, thread);
    return;
  }
#pragma unroll
  for (int begin = 0; begin < kAll; begin += Threads) {
    int i = begin + thread, row = i / kChunks, chunk = i % kChunks;
    if (kAll % Threads != 0 && i >= kAll) break;
    bool in = row < count && 8 * chunk < p.head_dim;
    ptx::copy_async<16>(at<D>(tile, row, chunk), from(row) + 8 * chunk, in ? 16 : 0);
  }
}

// The same for the `count` rows from `first` of one head, whose columns start at `column`.
template <int D, int Count, int Threads>
__device__ __forceinline__ void load(bf16* tile, const Rows& x, int first, int count, int column,
                                     const Problem& p, int thread) {
  load<D, Count, Threads>(
      tile, count, [&](int row) { return x.at(first + row, column); }, p, thread);
}

template <int D, int Count, int Threads>
__device__ __forceinline__ void gather(bf16* tile, const Rows& x, int first, int count, int column,
                                       const Problem& p) {
  gather<D, Count, Threads>(
      tile, count, [&](int row) { return x.at(first + row, column); }, p,
      static_cast<int>(threadIdx.x));
}

// Writes the columns [8·chunk, 8·(chunk + Chunks)) of a tile's 16 rows from `row` to the `count`
// rows from `first` and the columns of one head from `column`, by one warp.
template <int D, int Chunks>
__device__ __forceinline__ void store(const Rows& y, int first, int count, int column, bf16* tile,
                                      int row, int chunk, const Problem& p, int lane) {
#pragma unroll
  for (int begin = 0; begin < 16 * Chunks; begin += 32) {
    int i = begin + lane, r = i / Chunks, c = chunk + i % Chunks;
    if (r >= count) continue;
    bf16* to = y.at(first + r, column + 8 * c);
    if (p.by16) {
      if (8 * c < p.head_dim) ptx::store128(to, ptx::load128(at<D>(tile, row + r, c)));
      continue;
    }
#pragma unroll 1
    for (int j = 0; j < min(8, p.head_dim - 8 * c); j++) to[j] = at<D>(tile, row + r, c)[j];
  }
}

// ---- products -------------------------------------------------------------------------------
// Sums of 16 rows are c[n/8][..], in the layout of ptx::mma. With g = lane/4 and t = lane%4,
// element [n][i] is at row g + 8·(i/2), column 8n + 2t + i%2.

// Returns the row that this lane passes to ldmatrix for the 16x16 square at `row`, a multiple of 8,
// and column 8·chunk, a constant: matrices 0 and 1 are its left half, 2 and 3 its right half.
template <int D>
__device__ __forceinline__ bf16* square(bf16* tile, int row, uint32_t chunk, uint32_t lane) {
  return moved<D>(at<D>(tile, lane % 16, 0, lane / 16), chunk) + row * D;
}

// The same with 0 and 1 as the upper half, 2 and 3 as the lower half: pairs of registers are the
// right operands of a·bᵀ, as they are of a·b in a transposed square. An mma reads such a pair from
// adjacent registers, so another order would cost two moves for each.
template <int D>
__device__ __forceinline__ bf16* square_nt(bf16* tile, int row, uint32_t chunk, uint32_t lane) {
  return moved<D>(at<D>(tile, lane % 8 + lane / 16 * 8, 0, lane / 8 % 2), chunk) + row * D;
}

// Rows [row, row+16·G), columns [16·step, 16·step+16) of a tile as the left operand.
template <int D, int G>
__device__ __forceinline__ void left(uint32_t (&a)[G][4], bf16* tile, int row, int step, int lane) {
#pragma unroll
  for (int g = 0; g < G; g++) {
    ptx::ldmatrix(a[g], square<D>(tile, row + 16 * g, 2 * step, lane));
  }
}

// Sums as the left operand of the next product, rounded: columns [16·step, 16·step+16).
template <int G, int N>
__device__ __forceinline__ void left(uint32_t (&a)[G][4], const float (&c)[G][N][4], int step) {
#pragma unroll
  for (int g = 0; g < G; g++) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const float (&x)[4] = c[g][2 * step + i / 2];
      a[g][i] = ptx::pack(x[i % 2 * 2], x[i % 2 * 2 + 1]);
    }
  }
}

// c += a·bᵀ: the columns of a and of the tile's rows [row, row + 8·N) are [16·step, 16·step+16). A
// warp has G groups of 16 rows, which share what is read of b. A constant row costs nothing.
template <int D, int G, int N>
__device__ __forceinline__ void add_nt(float (&c)[G][N][4], const uint32_t (&a)[G][4], bf16* tile,
                                       int row, int step, int lane) {
#pragma unroll
  for (int n = 0; n < N; n += 2) {
    uint32_t b[4];
    ptx::ldmatrix(b, square_nt<D>(tile, row + 8 * n, 2 * step, lane));
#pragma unroll
    for (int g = 0; g < G; g++) {
      ptx::mma(c[g][n], a[g], {b[0], b[1]});
      ptx::mma(c[g][n + 1], a[g], {b[2], b[3]});
    }
  }
}

// c += a·b: b is the tile's rows [row, row + 16), from column 8·chunk on.
template <int D, int G, int N>
__device__ __forceinline__ void add_nn(float (&c)[G][N][4], const uint32_t (&a)[G][4], bf16* tile,
                                       int row, int chunk, int lane) {
#pragma unroll
  for (int n = 0; n < N; n += 2) {
    uint32_t b[4];
    ptx::ldmatrix_transposed(b, square<D>(tile, row, chunk + n, lane));
#pragma unroll
    for (int g = 0; g < G; g++) {
      ptx::mma(c[g][n], a[g], {b[0], b[1]});
      ptx::mma(c[g][n + 1], a[g], {b[2], b[3]});
    }
  }
}

// Rounds sums into rows [row, row+16) of a tile, from column 8·chunk on.
template <int D, int N>
__device__ __forceinline__ void put(bf16* tile, int row, int chunk, const float (&c)[N][4],
                                    int lane) {
  int g = lane / 4, t = lane % 4;
#pragma unroll
  for (int n = 0; n < N; n++) {
    ptx::store32(at<D>(tile, row + g, chunk + n) + 2 * t, ptx::pack(c[n][0], c[n][1]));
    ptx::store32(at<D>(tile, row + g + 8, chunk + n) + 2 * t, ptx::pack(c[n][2], c[n][3]));
  }
}

// ---- softmax --------------------------------------------------------------------------------

// The online softmax of a thread's two rows, g and g + 8 of 16: P = exp2(scale2·score - shift).
//
// Exponentials are as exact at any size. So the shift is kRoom above the largest score, and stays as
// it is until a tile's exponentials add up to 2 in a lane, which is seldom: no maximum is taken
// until then.
struct Softmax {
  // kRoom above scale2·score of the largest score, when last raised; -infinity before the first.
  float shift[2] = {-INFINITY, -INFINITY};
  float sum[2] = {};  // this thread's share of the sum of P

  static constexpr float kRoom = 8;

  // Returns the complete sum of row g + 8·r.
  __device__ __forceinline__ float total(int r) const {
    float all = sum[r] + __shfl_xor_sync(0xffffffff, sum[r], 1);
    return all + __shfl_xor_sync(0xffffffff, all, 2);
  }

  // Sets P of a tile as left operands, rounded, and `add` to its sums of them. weighed(x, n, i) is
  // what P[n][i] = x is multiplied as.
  template <int N, class Weighed>
  static __device__ __forceinline__ void exponentials(uint32_t (&prob)[2 * N], float (&add)[2],
                                                      const float (&score)[N][4],
                                                      const float (&shift)[2], float scale2,
                                                      Weighed weighed) {
#pragma unroll
    for (int n = 0; n < N; n++) {
#pragma unroll
      for (int r = 0; r < 2; r++) {
        const float low = ptx::exp2(fmaf(score[n][2 * r], scale2, -shift[r]));
        const float high = ptx::exp2(fmaf(score[n][2 * r + 1], scale2, -shift[r]));
        add[r] = n == 0 ? low + high : add[r] + low + high;
        prob[2 * n + r] = ptx::pack(weighed(low, n, 2 * r), weighed(high, n, 2 * r + 1));
      }
    }
  }

  // Reports whether one of the sums of a tile is 2 or more, or NaN: in a row without a shift all P
  // are infinite, and NaN where the mask is. No sum is negative, so that the bits tell.
  template <int G>
  static __device__ __forceinline__ bool beyond(const float (&add)[G][2]) {
    uint32_t any = 0;
#pragma unroll
    for (int i = 0; i < 2 * G; i++) any |= __float_as_uint(add[i / 2][i % 2]);
    return any >= __float_as_uint(2.0f);
  }

  // Raises the shifts to the scores of a tile and rescales the sums. Returns the shifts for it, by
  // all lanes: 0 for a row that has seen no key yet.
  template <int N, int M>
  __device__ __forceinline__ void raise(float (&less)[2], const float (&score)[N][4],
                                        float (&out)[M][4], float scale2) {
#pragma unroll
    for (int r = 0; r < 2; r++) {
      float most = -INFINITY;
#pragma unroll
      for (int n = 0; n < N; n++) {
        most = fmaxf(most, fmaxf(score[n][2 * r], score[n][2 * r + 1]));
      }
      most = fmaxf(most, __shfl_xor_sync(0xffffffff, most, 1));
      most = fmaxf(most, __shfl_xor_sync(0xffffffff, most, 2));
      const float before = shift[r];
      shift[r] = fmaxf(before, fmaf(most, scale2, kRoom));
      less[r] = shift[r] == -INFINITY ? 0 : shift[r];
      const float factor = ptx::exp2(before - less[r]);
      sum[r] *= factor;
#pragma unroll
      for (int n = 0; n < M; n++) {
        out[n][2 * r] *= factor;
        out[n][2 * r + 1] *= factor;
      }
    }
  }
};

// Sets prob[step] to P of a tile, rounded, as the left operand of a warp's G groups of 16 rows.
template <int G, int N, int M, class Weighed>
__device__ __forceinline__ void take(Softmax (&softmax)[G], uint32_t (&prob)[N / 2][G][4],
                                     const float (&score)[G][N][4], float (&out)[G][M][4],
                                     float scale2, Weighed weighed) {
  uint32_t pairs[G][2 * N];
  float add[G][2];
#pragma unroll
  for (int g = 0; g < G; g++) {
    Softmax::exponentials(pairs[g], add[g], score[g], softmax[g].shift, scale2, weighed);
  }
  if (__any_sync(0xffffffff, Softmax::beyond(add))) {
#pragma unroll
    for (int g = 0; g < G; g++) {
      float less[2];
      softmax[g].raise(less, score[g], out[g], scale2);
      Softmax::exponentials(pairs[g], add[g], score[g], less, scale2, weighed);
    }
  }
#pragma unroll
  for (int g = 0; g < G; g++) {
    softmax[g].sum[0] += add[g][0];
    softmax[g].sum[1] += add[g][1];
#pragma unroll
    for (int i = 0; i < 2 * N; i++) prob[i / 4][g][i % 4] = pairs[g][i];
  }
}

template <int G, int N, int M>
__device__ __forceinline__ void take(Softmax (&softmax)[G], uint32_t (&prob)[N / 2][G][4],
                                     const float (&score)[G][N][4], float (&out)[G][M][4],
                                     float scale2) {
  take(softmax, prob, score, out, scale2, [](float x, int, int) { return x; });
}

// ---- launches -------------------------------------------------------------------------------

// Calls f with the tile width for head_dim, as a std::integral_constant.
template <class F>
int with_width(int head_dim, F f) {
  if (head_dim <= 32) return f(std::integral_constant<int, 32>());
  if (head_dim <= 64) return f(std::integral_constant<int, 64>());
  if (head_dim <= 96) return f(std::integral_constant<int, 96>());
  if (head_dim <= 128) return f(std::integral_constant<int, 128>());
  return f(std::integral_constant<int, 256>());
}

// The same, and whether to use the general instance.
template <class F>
int with_instance(int head_dim, bool general, F f) {
  return with_width(head_dim, [&](auto width) {
    return general ? f(width, std::true_type()) : f(width, std::false_type());
  });
}

#define REGISTER_WIDTH(kernel, shape, width)                                  \
  REGISTER_INSTANCE(kernel##_##width, (shape<width, false>::kThreads),        \
                    (shape<width, false>::kShared), kernel<width, false>);    \
  REGISTER_INSTANCE(kernel##_general_##width, (shape<width, true>::kThreads), \
                    (shape<width, true>::kShared), kernel<width, true>)
// All of a kernel's instances: the widths that with_width gives.
#define REGISTER_WIDTHS(kernel, shape) \
  REGISTER_WIDTH(kernel, shape, 32);   \
  REGISTER_WIDTH(kernel, shape, 64);   \
  REGISTER_WIDTH(kernel, shape, 96);   \
  REGISTER_WIDTH(kernel, shape, 128);  \
  REGISTER_WIDTH(kernel, shape, 256)

// A kernel's name for one width.
struct Name {
  char text[48] = {};
  constexpr Name(const char* kernel, bool general, int width) {
    int n = 0;
    while (*kernel != 0) text[n++] = *kernel++;
    for (const char* kind = general ? "_general_" : "_"; *kind != 0;) text[n++] = *kind++;
    for (int unit = 100; unit > 0; unit /= 10) {
      if (width >= unit) text[n++] = static_cast<char>('0' + width / unit % 10);
    }
  }
};

inline Rows rows_of(const qlora_tensor& t, int32_t head_dim) {
  const bool grouped = t.width > 0;
  return {static_cast<bf16*>(t.data), static_cast<int32_t>(t.stride),
          grouped ? t.width / head_dim : INT32_MAX, grouped ? t.period : 0};
}

inline bool by16(const qlora_tensor& t) {
  return t.stride % 8 == 0 && t.period % 8 == 0 && reinterpret_cast<uintptr_t>(t.data) % 16 == 0;
}

inline Problem problem_of(const qlora_attend& op) {
  bool all = op.head_dim % 8 == 0 && by16(op.q) && by16(op.k) && by16(op.v) && by16(op.o);
  int32_t window = op.window > 0 ? op.window : INT32_MAX;
  return {op.q_starts,
          op.k_starts,
          op.heads,
          op.kv_heads,
          op.head_dim,
          window,
          op.scale,
          all,
          op.cap,
          static_cast<const float*>(op.key_bias.data),
          op.key_bias.stride,
          static_cast<const float*>(op.sinks.data),
          op.mask};
}

// Reports whether the general instances are for the operation.
inline bool is_general(qlora_context* c, const qlora_attend& op) {
  return prefers(c, "general") || op.cap > 0 || op.key_bias.data != nullptr ||
         op.sinks.data != nullptr || op.mask.threshold > 0 || op.q.width > 0 || op.k.width > 0 ||
         op.v.width > 0;
}

// Refuses operations that no kernel here supports.
inline int check(qlora_context* c, const char* name, const qlora_attend& op) {
  if (op.head_dim < 1 || op.head_dim > 256) {
    return fail(c, QLORA_UNSUPPORTED, "%s: a head of %d dimensions; 1 to 256 will do", name,
                op.head_dim);
  }
  if (op.sequences > 65535) {
    return fail(c, QLORA_UNSUPPORTED, "%s: %d sequences at once; 65535 will do", name,
                op.sequences);
  }
  if (!(op.scale > 0)) {
    return fail(c, QLORA_UNSUPPORTED, "%s: the scale %g is not above 0", name, op.scale);
  }
  return QLORA_OK;
}

}  // namespace attention
