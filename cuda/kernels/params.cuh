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

// Returns eight elements of a vector of n, from i on; zeros beyond its end.
__device__ __forceinline__ Eight load8_of(const float* x, int64_t i, int64_t n, bool wide) {
  if (wide && i + kEight <= n) return load8(x + i);
  Eight e = {};
#pragma unroll
  for (int j = 0; j < kEight; j++) {
    if (i + j < n) e.x[j] = x[i + j];
  }
  return e;
}

template <class T>
__device__ __forceinline__ void store8_of(T* x, int64_t i, int64_t n, bool wide, const Eight& e) {
  if (wide && i + kEight <= n) {
    store8(x + i, e);
    return;
  }
#pragma unroll
  for (int j = 0; j < kEight; j++) {
    if (i + j < n) x[i + j] = ptx::from_float<T>(e.x[j]);
  }
}

// Reports whether a vector can be read eight elements at a time.
__device__ __forceinline__ bool aligned(const void* x) {
  return reinterpret_cast<uintptr_t>(x) % 16 == 0;
}
