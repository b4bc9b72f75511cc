// The device as a kernel's entry function sees it.
#pragma once

#include <cstdint>

#include "include/qlora.h"

// The first invalid value that a check_range found since the last sync; in device memory.
struct Failure {
  int32_t check;  // which call, from 1; 0: none
  int32_t row, value, limit;
};

// Stores the message and returns the status.
int fail(qlora_context*, int status, const char* format, ...) __attribute__((format(printf, 3, 4)));

// The failure record in device memory. Kernels that index by ids or labels do nothing once its
// check is set.
Failure* failure(qlora_context*);

// Returns the number of the checks whose message is the static text.
int32_t check_number(qlora_context*, const char* text);

// Streaming multiprocessors, for grids of persistent blocks; never to split a sum.
int processors(qlora_context*);

// The compute capability: 90 for sm_90.
int compute(qlora_context*);

// The part of kernels' names that the context prefers (qlora_options.variant), or "".
const char* variant(qlora_context*);

// Reports whether the context prefers that kind of kernels, as "elements".
bool prefers(qlora_context*, const char* kind);

// Enqueues a copy of host memory, which may be reused at return.
int upload(qlora_context*, void* dst, const void* src, int64_t bytes);

// A kernel's static properties, listed in the table.
struct RegisteredKernel {
  RegisteredKernel(const char* name, int threads, int shared_bytes, const void* function);
  qlora_kernel kernel;
  int number;
  const RegisteredKernel* next;
};

// At file scope, next to the kernel: its name as launched, the threads per block, and the maximum
// dynamic shared memory of a launch.
#define REGISTER_KERNEL(id, threads, shared_bytes) REGISTER_INSTANCE(id, threads, shared_bytes, id)
// The same for a template's instance under its own name; the instance follows the bytes, as in
// REGISTER_INSTANCE(sum_rows_bf16, kThreads, kBytes, sum_rows<bf16, 8>).
#define REGISTER_INSTANCE(id, threads, shared_bytes, ...)                   \
  static const RegisteredKernel registered_##id(#id, threads, shared_bytes, \
                                                reinterpret_cast<const void*>(&__VA_ARGS__))
