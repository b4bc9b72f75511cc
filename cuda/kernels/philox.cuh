// Philox4x32-10 (Salmon et al. 2011), as in package philox: a pure function of a key and a counter,
// so that a mask is redrawn wherever it is needed instead of being stored.
#pragma once

#include "include/qlora.h"
#include "ptx/ptx.cuh"

__device__ inline uint4 philox(uint64_t seed, uint4 counter) {
  auto key0 = static_cast<uint32_t>(seed), key1 = static_cast<uint32_t>(seed >> 32);
  uint32_t c0 = counter.x, c1 = counter.y, c2 = counter.z, c3 = counter.w;
  // Not unrolled: several blocks would run in parallel, in registers that a product's sums need.
#pragma unroll 1
  for (int round = 0; round < 10; round++) {
    uint32_t high0 = __umulhi(0xD2511F53u, c0), low0 = 0xD2511F53u * c0;
    uint32_t high1 = __umulhi(0xCD9E8D57u, c2), low1 = 0xCD9E8D57u * c2;
    c0 = high1 ^ c1 ^ key0;
    c1 = low1;
    c2 = high0 ^ c3 ^ key1;
    c3 = low0;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return make_uint4(c0, c1, c2, c3);
}

// Bit i says whether dropout keeps column 8·group + i of the row: a Philox block has 16 bits for
// each of 8 columns.
__device__ inline uint32_t dropout_kept(const qlora_mask& mask, uint32_t row, uint32_t group) {
  uint32_t step = mask.step;
  if (mask.place != nullptr) {
    step += ptx::global(mask.place)[0];
    row += ptx::global(mask.place)[1];
  }
  uint4 b = philox(mask.seed, make_uint4(group, row, mask.stream, step));
  uint32_t words[4] = {b.x, b.y, b.z, b.w}, kept = 0;
#pragma unroll
  for (int i = 0; i < 4; i++) {
    kept |= static_cast<uint32_t>((words[i] & 0xffff) >= mask.threshold) << (2 * i);
    kept |= static_cast<uint32_t>((words[i] >> 16) >= mask.threshold) << (2 * i + 1);
  }
  return kept;
}

// Returns the factor of an element, selected by bit 0 of kept.
__device__ inline float dropout_factor(const qlora_mask& mask, uint32_t kept) {
  float factor = (kept & 1) != 0 ? mask.scale : 0.0f;
  return mask.lost != 0 ? 1 - factor : factor;
}
