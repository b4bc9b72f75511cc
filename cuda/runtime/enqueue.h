// Enqueueing a kernel on a GPU.
#pragma once

#include <cstddef>

struct dim3;
struct qlora_context;

// Enqueues the kernel of a host stub, whose parameters are at the given addresses. device_open has
// allowed it the shared memory that it is registered with.
int enqueue(qlora_context*, const char* kernel, const void* function, dim3 grid, dim3 block,
            size_t shared_bytes, void** arguments);
