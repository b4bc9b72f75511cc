// Copies between the GPU and pinned memory of the host, next to the kernels: a GPU has engines for
// them. Two streams wait for each other by events. An event that is recorded again stands for its
// last record, and a stream that waits for it waits for what it stood for at the call; so one event
// serves all waits for kernels.
#include "runtime/nvidia_transfer.h"

#include <cstring>
#include <initializer_list>

#include "runtime/device.h"
#include "runtime/transfer.h"

namespace {

int failed(qlora_context* c, cudaError_t e, const char* doing) {
  if (e == cudaSuccess) return QLORA_OK;
  cudaGetLastError();  // clears errors that are not sticky
  return fail(c, e == cudaErrorMemoryAllocation ? QLORA_OUT_OF_MEMORY : QLORA_ERROR, "%s: %s",
              doing, cudaGetErrorString(e));
}

}  // namespace

cudaError_t Transfers::open() {
  cudaError_t e = cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  // A library's kernels get processors as soon as blocks of others end there: they are few, and their
  // waiting is that of all GPUs.
  int lowest = 0, highest = 0;
  if (e == cudaSuccess) e = cudaDeviceGetStreamPriorityRange(&lowest, &highest);
  if (e == cudaSuccess) e = cudaStreamCreateWithPriority(&aside, cudaStreamNonBlocking, highest);
  if (e == cudaSuccess) e = cudaEventCreateWithFlags(&ready, cudaEventDisableTiming);
  for (cudaEvent_t& d : done) {
    if (e == cudaSuccess) e = cudaEventCreateWithFlags(&d, cudaEventDisableTiming);
  }
  return e;
}

cudaError_t Transfers::follow(cudaStream_t kernels, cudaStream_t Transfers::* which) {
  cudaError_t e = stream == nullptr ? open() : cudaSuccess;
  if (e == cudaSuccess) e = cudaEventRecord(ready, kernels);
  if (e == cudaSuccess) e = cudaStreamWaitEvent(this->*which, ready, 0);
  return e;
}

void Transfers::close() {
  for (cudaStream_t s : {stream, aside}) {
    if (s == nullptr) continue;
    cudaStreamSynchronize(s);
    cudaStreamDestroy(s);
  }
  if (ready != nullptr) cudaEventDestroy(ready);
  for (cudaEvent_t d : done) {
    if (d != nullptr) cudaEventDestroy(d);
  }
  *this = Transfers{};
}

int device_allocate_host(qlora_context* c, int64_t bytes, void** data) {
  Transfers* t;
  cudaStream_t kernels;
  int status = transfers(c, &t, &kernels);
  if (status != QLORA_OK) return status;
  const auto n = static_cast<size_t>(bytes);
  status = failed(c, cudaMallocHost(data, n), "pinning the host's memory");
  if (status == QLORA_OK) std::memset(*data, 0, n);
  return status;
}

int device_release_host(qlora_context* c, void* data) {
  Transfers* t;
  cudaStream_t kernels;
  int status = transfers(c, &t, &kernels);
  if (status != QLORA_OK) return status;
  if (t->stream != nullptr) {
    status = failed(c, cudaStreamSynchronize(t->stream), "finishing transfers");
    if (status != QLORA_OK) return status;
  }
  return failed(c, cudaFreeHost(data), "giving pinned memory back");
}

int device_transfer(qlora_context* c, const qlora_transfer* op) {
  int status = check_event(c, op->event, 0);
  if (status != QLORA_OK) return status;
  Transfers* t;
  cudaStream_t kernels;
  status = transfers(c, &t, &kernels);
  if (status != QLORA_OK) return status;
  cudaError_t e = t->follow(kernels, &Transfers::stream);
  if (e == cudaSuccess) {
    e = cudaMemcpyAsync(op->dst, op->src, static_cast<size_t>(op->bytes),
                        op->to_host != 0 ? cudaMemcpyDeviceToHost : cudaMemcpyHostToDevice,
                        t->stream);
  }
  if (e == cudaSuccess && op->event > 0) e = cudaEventRecord(t->done[op->event - 1], t->stream);
  return failed(c, e, "a transfer");
}

int device_await(qlora_context* c, int32_t event) {
  int status = check_event(c, event, 1);
  if (status != QLORA_OK) return status;
  Transfers* t;
  cudaStream_t kernels;
  status = transfers(c, &t, &kernels);
  if (status != QLORA_OK || t->stream == nullptr) return status;  // there was no transfer
  return failed(c, cudaStreamWaitEvent(kernels, t->done[event - 1], 0), "waiting for a transfer");
}

int device_aside(qlora_context* c, void* dst, int64_t, void** stream, void** to) {
  Transfers* t;
  cudaStream_t kernels;
  int status = transfers(c, &t, &kernels);
  if (status != QLORA_OK) return status;
  status = failed(c, t->follow(kernels, &Transfers::aside), "following the kernels");
  *stream = t->aside;
  *to = dst;
  return status;
}

// The copy goes from GPU to GPU where they reach each other, else the driver takes it through the
// host's memory.
int device_fetch(qlora_context* c, qlora_context* from, void* to, const void* src, int64_t bytes) {
  Transfers *theirs, *t;
  cudaStream_t kernels;
  int status = transfers(from, &theirs, &kernels);
  if (status == QLORA_OK) status = transfers(c, &t, &kernels);
  if (status != QLORA_OK) return status;
  cudaError_t e = cudaStreamWaitEvent(t->aside, theirs->ready, 0);
  if (e == cudaSuccess) {
    e = cudaMemcpyAsync(to, src, static_cast<size_t>(bytes), cudaMemcpyDefault, t->aside);
  }
  return failed(c, e, "a copy from another GPU");
}

int device_arriving(qlora_context* c, int32_t event) {
  int status = check_event(c, event, 1);
  if (status != QLORA_OK) return status;
  Transfers* t;
  cudaStream_t kernels;
  status = transfers(c, &t, &kernels);
  if (status != QLORA_OK || t->stream == nullptr) return status;  // nothing was begun
  return failed(c, cudaEventRecord(t->done[event - 1], t->aside), "recording an event");
}
