// Processing of the query-key products around the softmax: the causal mask and, in the general
// instances, cap, bias and dropout of the probabilities.
#pragma once

#include "kernels/attend.cuh"
#include "kernels/cap.cuh"
#include "kernels/philox.cuh"

namespace attention {

// Sets scores whose query does not see their key to -inf. Rows are queries and columns keys, or the
// reverse with Sign -1; ahead is Sequence::ahead of the first query and the first key.
template <int Sign, int N>
__device__ __forceinline__ void mask(float (&score)[N][4], int32_t ahead, int32_t window,
                                     int lane) {
  ahead += Sign * (lane / 4 - 2 * (lane % 4));
#pragma unroll
  for (int n = 0; n < N; n++) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      int32_t behind = ahead + Sign * (i / 2 * 8 - 8 * n - i % 2);
      bool seen = static_cast<uint32_t>(behind) < static_cast<uint32_t>(window);
      if (!seen) score[n][i] = -INFINITY;
    }
  }
}

// The rest is for the general instances only. Their scores are in natural units; those of the plain
// instances are not yet scaled.

// The score of a query-key product, without the key's bias, and its derivative by scale·product.
__device__ __forceinline__ Capped score_of(float product, const Problem& p) {
  return capped(p.scale * product, p.cap);
}

// Returns the bias of a key; 0 beyond the last, which no query sees.
__device__ __forceinline__ float bias_of(const Problem& p, int32_t head, int32_t key,
                                         const Sequence& s) {
  return p.key_bias != nullptr && key < s.keys ? p.key_bias[head * p.bias_stride + key] : 0;
}

// Replaces products of 16 queries and 8·N keys, from `key` on, by scores; slope gets their
// derivatives.
template <int N>
__device__ __forceinline__ void to_scores(float (&score)[N][4], float (&slope)[N][4],
                                          const Problem& p, const Sequence& s, int32_t head,
                                          int32_t key, int lane) {
#pragma unroll
  for (int n = 0; n < N; n++) {
#pragma unroll
    for (int j = 0; j < 2; j++) {
      const float bias = bias_of(p, head, key + 8 * n + 2 * (lane % 4) + j, s);
      const Capped g = score_of(score[n][j], p), g8 = score_of(score[n][2 + j], p);
      score[n][j] = g.value + bias;
      score[n][2 + j] = g8.value + bias;
      slope[n][j] = g.slope;
      slope[n][2 + j] = g8.slope;
    }
  }
}

// Draws which of 16·8·N elements of P dropout keeps: bit 4n + i is for c[n][i]. Rows are queries
// from row `token` of Q on, columns keys from `key` on, a multiple of 8. 8 keys share a Philox
// block: four lanes draw for each other.
template <int N>
__device__ __forceinline__ uint32_t kept_of(const Problem& p, int32_t token, int32_t head,
                                            int32_t key, int lane) {
  const int g = lane / 4, t = lane % 4;
  uint32_t kept = 0;
#pragma unroll
  for (int b = 0; b < N / 2; b++) {  // two groups of 8 columns in two rows
    const int32_t row = (token + g + 8 * (t % 2)) * p.heads + head;
    const uint32_t mine = dropout_kept(p.mask, row, key / 8 + 2 * b + t / 2);
#pragma unroll
    for (int from = 0; from < 4; from++) {
      uint32_t all = __shfl_sync(0xffffffff, mine, from, 4);
      kept |= (all >> (2 * t) & 3) << (4 * (2 * b + from / 2) + 2 * (from % 2));
    }
  }
  return kept;
}

// The same with keys as rows and queries as columns.
template <int N>
__device__ __forceinline__ uint32_t kept_of_transposed(const Problem& p, int32_t token,
                                                       int32_t head, int32_t key, int lane) {
  const int g = lane / 4, t = lane % 4;
  uint32_t kept = 0;
#pragma unroll
  for (int b = 0; b < N / 2; b++) {  // 16 queries, and two groups of 8 keys
    const int32_t row = (token + 16 * b + lane / 2) * p.heads + head;
    const uint32_t mine = dropout_kept(p.mask, row, key / 8 + lane % 2);
#pragma unroll
    for (int i = 0; i < 8; i++) {  // element i%4 of square 2b + i/4
      int from = 16 * (i / 4) + 4 * t + 2 * (i % 2) + i % 4 / 2;
      kept |= (__shfl_sync(0xffffffff, mine, from) >> g & 1) << (8 * b + i);
    }
  }
  return kept;
}

}  // namespace attention
