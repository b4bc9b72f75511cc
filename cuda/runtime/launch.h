// Launching a kernel, and its shared memory.
#pragma once

#include <tuple>

#include "ptx/ptx.cuh"
#include "runtime/context.h"

#ifdef __CUDACC__
#include "runtime/enqueue.h"

// Enqueues kernel(args...).
template <class... P, class... A>
int launch(qlora_context* c, const char* name, void (*kernel)(P...), dim3 grid, dim3 block,
           size_t shared_bytes, A... args) {
  std::tuple<P...> parameters(static_cast<P>(args)...);
  return std::apply(
      [&](P&... parameter) {
        void* addresses[] = {&parameter...};
        return enqueue(c, name, reinterpret_cast<const void*>(kernel), grid, block, shared_bytes,
                       addresses);
      },
      parameters);
}

// The block's dynamic shared memory, aligned to 1024 bytes.
template <class T>
__device__ __forceinline__ T* shared_memory() {
  extern __shared__ __align__(1024) unsigned char dynamic_shared[];
  return reinterpret_cast<T*>(dynamic_shared);
}

#else

int run_emulated(qlora_context*, const char* kernel, dim3 grid, dim3 block, size_t shared_bytes,
                 void (*body)(const void*), const void* arguments, size_t argument_bytes);

template <class... P>
struct Call {
  void (*kernel)(P...);
  std::tuple<P...> arguments;
  static void run(const void* call) {
    const auto* c = static_cast<const Call*>(call);
    std::apply(c->kernel, c->arguments);
  }
};

// Runs kernel(args...) to completion.
template <class... P, class... A>
int launch(qlora_context* c, const char* name, void (*kernel)(P...), dim3 grid, dim3 block,
           size_t shared_bytes, A... args) {
  Call<P...> call{kernel, std::tuple<P...>(static_cast<P>(args)...)};
  return run_emulated(c, name, grid, block, shared_bytes, &Call<P...>::run, &call, sizeof call);
}

template <class T>
inline T* shared_memory() {
  return static_cast<T*>(emu::shared());
}

#endif
