// What a kernel's entry function has of the device that it runs on.
#pragma once

#include <cstdint>

#include "include/qlora.h"

// The first value that a check_range found wrong since the last sync; in device memory.
struct Failure {
  int32_t check;  // which call, from 1; 0: none
  int32_t row, value, limit;
};

// Keeps the sentence and gives the status.
int fail(qlora_context*, int status, const char* format, ...) __attribute__((format(printf, 3, 4)));

// The device's place for a failure. Kernels that index by ids or labels do nothing once its check
// is set.
Failure* failure(qlora_context*);

// The number of a new check, whose message is the static text.
int32_t new_check(qlora_context*, const char* text);

// Streaming multiprocessors, for grids of persistent blocks: never for how a sum is cut.
int processors(qlora_context*);

// Its compute capability: 90 for sm_90.
int compute(qlora_context*);

// Copies host memory, free at return, behind what was enqueued.
int upload(qlora_context*, void* dst, const void* src, int64_t bytes);

// What is known of a kernel before it runs; the table lists them.
struct RegisteredKernel {
  RegisteredKernel(const char* name, int threads, int shared_bytes, const void* function);
  qlora_kernel kernel;
  const RegisteredKernel* next;
};

// At file scope, beside the kernel: its name, which is that at launch, the threads of a block, and
// the most dynamic shared memory that a launch asks for.
#define REGISTER_KERNEL(id, threads, shared_bytes) REGISTER_INSTANCE(id, threads, shared_bytes, id)
// The same of a template's instance under a name of its own: after the bytes comes the instance,
// as in REGISTER_INSTANCE(sum_rows_bf16, kThreads, kBytes, sum_rows<bf16, 8>).
#define REGISTER_INSTANCE(id, threads, shared_bytes, ...)                   \
  static const RegisteredKernel registered_##id(#id, threads, shared_bytes, \
                                                reinterpret_cast<const void*>(&__VA_ARGS__))
