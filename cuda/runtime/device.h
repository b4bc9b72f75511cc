// The table's device functions, defined by nvidia.cpp and emulated.cpp.
#pragma once

#include "include/qlora.h"

// What the library was built with, as qlora_api.build.
const char* kernels_build();

int device_open(int device, const qlora_options*, qlora_context** context);
void device_close(qlora_context*);
const char* device_error(qlora_context*);
int device_info(qlora_context*, qlora_info*);
int device_allocate(qlora_context*, int64_t bytes, void** data);
int device_release(qlora_context*, void* data);
int device_write(qlora_context*, void* dst, const void* src, int64_t bytes);
int device_read(qlora_context*, void* dst, const void* src, int64_t bytes);
int device_zero(qlora_context*, void* dst, int64_t bytes);
int device_move(qlora_context*, void* dst, const void* src, int64_t bytes);
int device_sync(qlora_context*);
int device_mark(qlora_context*, int which);
int device_elapsed(qlora_context*, float* milliseconds);
int device_stream(qlora_context*, void** stream);
int device_allocate_host(qlora_context*, int64_t bytes, void** data);
int device_release_host(qlora_context*, void* data);
int device_transfer(qlora_context*, const qlora_transfer*);
int device_await(qlora_context*, int32_t event);
int device_aside(qlora_context*, void* dst, int64_t bytes, void** stream, void** to);
int device_fetch(qlora_context*, qlora_context* from, void* to, const void* src, int64_t bytes);
int device_arriving(qlora_context*, int32_t event);
int device_capture(qlora_context*);
int device_captured(qlora_context*, void** graph, int64_t* bytes);
int device_replay(qlora_context*, void* graph);
int device_drop(qlora_context*, void* graph);
int device_extents(qlora_context*, const qlora_extent* list, int32_t count);
int device_schedule(qlora_context*, uint64_t seed);
const qlora_kernel* kernel_number(int number);
int device_counts(qlora_context*, int number, qlora_counts*);
