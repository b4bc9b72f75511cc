// A context's other streams: of copies between its GPU and pinned memory of the host, and of what comes
// from other GPUs.
#pragma once

#include <cuda_runtime_api.h>

#include "include/qlora.h"

struct Transfers {
  cudaStream_t stream = nullptr;  // made for the first copy
  cudaStream_t aside = nullptr;   // of what other GPUs send, made with it
  cudaEvent_t ready = nullptr;    // the work that a copy begins after
  cudaEvent_t done[QLORA_EVENTS] = {};

  // Makes the stream and the events.
  cudaError_t open();
  // Lets one of the streams wait for the kernels enqueued so far.
  cudaError_t follow(cudaStream_t kernels, cudaStream_t Transfers::* which);
  // Waits for all copies and frees them.
  void close();
};

// The context's, and its stream of kernels; the GPU becomes the calling thread's.
int transfers(qlora_context*, Transfers** of, cudaStream_t* kernels);
