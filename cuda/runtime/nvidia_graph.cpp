// CUDA graphs of the context's stream. While it is captured, kernels, memsets and copies on the device
// become nodes, with their arguments, and so do transfers: their stream joins the capture where it
// waits for the kernels, which wait for the last transfer before the capture ends. The mode is relaxed: a goroutine moves between OS threads, and
// what other threads do meanwhile, on other GPUs too, is none of the capture's.
#include <cuda_runtime_api.h>

#include "runtime/context.h"
#include "runtime/device.h"

namespace {

// Returns the status of a call, with its message.
int failed(qlora_context* c, cudaError_t e, const char* doing) {
  if (e == cudaSuccess) return QLORA_OK;
  cudaGetLastError();
  return fail(c, e == cudaErrorMemoryAllocation ? QLORA_OUT_OF_MEMORY : QLORA_ERROR, "%s: %s",
              doing, cudaGetErrorString(e));
}

// Makes the context's GPU current, and returns its stream.
int stream_of(qlora_context* c, cudaStream_t* stream) {
  void* s = nullptr;
  int status = device_stream(c, &s);
  *stream = static_cast<cudaStream_t>(s);
  return status;
}

int64_t free_bytes() {
  size_t free = 0, total = 0;
  if (cudaMemGetInfo(&free, &total) != cudaSuccess) cudaGetLastError();
  return static_cast<int64_t>(free);
}

}  // namespace

int device_capture(qlora_context* c) {
  cudaStream_t stream;
  int status = stream_of(c, &stream);
  if (status != QLORA_OK) return status;
  return failed(c, cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed),
                "beginning a graph");
}

int device_captured(qlora_context* c, void** graph, int64_t* bytes) {
  *graph = nullptr;
  *bytes = 0;
  cudaStream_t stream;
  int status = stream_of(c, &stream);
  if (status != QLORA_OK) return status;
  cudaGraph_t record = nullptr;
  status = failed(c, cudaStreamEndCapture(stream, &record), "capturing a graph");
  if (status != QLORA_OK) return status;
  const int64_t before = free_bytes();
  cudaGraphExec_t made = nullptr;
  cudaError_t e = cudaGraphInstantiate(&made, record, 0);
  if (e == cudaSuccess) e = cudaGraphUpload(made, stream);
  status = failed(c, e, "making a graph");
  cudaGraphDestroy(record);
  if (status != QLORA_OK) {
    if (made != nullptr) cudaGraphExecDestroy(made);
    return status;
  }
  const int64_t after = free_bytes();
  *graph = made;
  *bytes = before > after ? before - after : 0;
  return QLORA_OK;
}

int device_replay(qlora_context* c, void* graph) {
  cudaStream_t stream;
  int status = stream_of(c, &stream);
  if (status != QLORA_OK) return status;
  return failed(c, cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph), stream),
                "at or before a graph");
}

int device_drop(qlora_context* c, void* graph) {
  cudaStream_t stream;
  int status = stream_of(c, &stream);
  if (status != QLORA_OK) return status;
  status = failed(c, cudaStreamSynchronize(stream), "finishing");
  cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph));
  return status;
}
