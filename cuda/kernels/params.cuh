// All trained parameters in one launch: their list on the device, split into pieces of QLORA_PIECE
// elements, one block each.
#pragma once

#include <cstring>
#include <vector>

#include "kernels/elements.cuh"

struct Params {
  const qlora_param* list;
  const int64_t* begins;  // [count + 1]: the number of each one's first piece, and of all pieces
  int count;

  // Returns a parameter with its pointers declared global.
  __device__ __forceinline__ qlora_param at(int which) const {
    qlora_param p = list[which];
    p.master = ptx::global(p.master);
    p.value = ptx::global(p.value);
    p.grad = ptx::global(p.grad);
    p.m = ptx::global(p.m);
    p.v = ptx::global(p.v);
    p.m_absmax = ptx::global(p.m_absmax);
    p.v_absmax = ptx::global(p.v_absmax);
    return p;
  }

  // Returns the parameter of a piece: the last that starts at or before it.
  __device__ __forceinline__ int of_piece(int64_t piece) const {
    int low = 0, high = count;
    while (high - low > 1) {
      int middle = (low + high) / 2;
      if (begins[middle] <= piece) {
        low = middle;
      } else {
        high = middle;
      }
    }
    return low;
  }
};

inline int64_t param_table_bytes(int count) {
  return int64_t{count} * static_cast<int64_t>(sizeof(qlora_param)) + (count + 1) * 8;
}

// Writes the list and its pieces into the table, and returns the number of pieces.
inline int upload_params(qlora_context* c, const qlora_param* params, int count, void* table,
                         Params* uploaded, int64_t* pieces) {
  size_t list = count * sizeof(qlora_param);
  std::vector<unsigned char> bytes(static_cast<size_t>(param_table_bytes(count)));
  std::memcpy(bytes.data(), params, list);
  *pieces = 0;
  for (int i = 0; i <= count; i++) {
    std::memcpy(bytes.data() + list + i * 8, pieces, 8);
    if (i < count) *pieces += ceil_div(params[i].n, QLORA_PIECE);
  }
  auto* to = static_cast<unsigned char*>(table);
  *uploaded = {reinterpret_cast<const qlora_param*>(to),
               reinterpret_cast<const int64_t*>(to + list), count};
  return upload(c, table, bytes.data(), static_cast<int64_t>(bytes.size()));
}

// A warp handles 256 adjacent elements of a vector, and a lane eight of them: four from 4·lane on
// and four from 128 + 4·lane on, so that an access of the warp, whatever the type, has no gaps.
constexpr int kWarpElements = 32 * kEight;

// Returns the lane's i-th element of those from `begin` on.
__device__ __forceinline__ int64_t share(int64_t begin, int i) {
  return begin + threadIdx.x % 32 * 4 + i / 4 * (kWarpElements / 2) + i % 4;
}

// Returns the lane's elements of a vector of n; zeros beyond its end.
__device__ __forceinline__ Eight load_share(const float* x, int64_t begin, int64_t n, bool wide) {
  Eight e = {};
  if (wide && begin + kWarpElements <= n) {
#pragma unroll
    for (int i = 0; i < kEight; i += 4) {
      const uint4 four = ptx::load128(x + share(begin, i));
      e.x[i] = __uint_as_float(four.x);
      e.x[i + 1] = __uint_as_float(four.y);
      e.x[i + 2] = __uint_as_float(four.z);
      e.x[i + 3] = __uint_as_float(four.w);
    }
    return e;
  }
#pragma unroll
  for (int i = 0; i < kEight; i++) {
    if (share(begin, i) < n) e.x[i] = x[share(begin, i)];
  }
  return e;
}

__device__ __forceinline__ void store_four(float* x, const float* e) {
  ptx::store128(x, make_uint4(__float_as_uint(e[0]), __float_as_uint(e[1]), __float_as_uint(e[2]),
                              __float_as_uint(e[3])));
}

__device__ __forceinline__ void store_four(bf16* x, const float* e) {
  ptx::store64(x, make_uint2(ptx::pack(e[0], e[1]), ptx::pack(e[2], e[3])));
}

__device__ __forceinline__ void store_four(f16* x, const float* e) {
  ptx::store64(x, make_uint2(pack_halves(e[0], e[1]), pack_halves(e[2], e[3])));
}

template <class T>
__device__ __forceinline__ void store_share(T* x, int64_t begin, int64_t n, bool wide,
                                            const Eight& e) {
  if (wide && begin + kWarpElements <= n) {
#pragma unroll
    for (int i = 0; i < kEight; i += 4) store_four(x + share(begin, i), e.x + i);
    return;
  }
#pragma unroll
  for (int i = 0; i < kEight; i++) {
    if (share(begin, i) < n) x[share(begin, i)] = ptx::from_float<T>(e.x[i]);
  }
}

// Reports whether a vector can be read eight elements at a time.
__device__ __forceinline__ bool aligned(const void* x) {
  return reinterpret_cast<uintptr_t>(x) % 16 == 0;
}
