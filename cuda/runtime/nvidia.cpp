// The GPU device, through the CUDA runtime. Everything that it enqueues goes to the context's stream:
// the legacy stream does not wait for that one, nor that one for it.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <new>

#include "runtime/device.h"
#include "runtime/enqueue.h"
#include "runtime/kernels.h"
#include "runtime/nvidia_transfer.h"
#include "runtime/status.h"

// The driver that the runtime of this toolkit needs at least. Within a major version of CUDA older
// drivers run newer runtimes.
#if CUDART_VERSION >= 13000
#define OLDEST_DRIVER "580"
#elif CUDART_VERSION >= 12000
#define OLDEST_DRIVER "525"
#else
#error "a toolkit older than CUDA 12"
#endif

namespace {

constexpr int kOldestCompute = 80;  // of bf16 tensor cores and cp.async

constexpr int major_of(int version) { return version / 1000; }
constexpr int minor_of(int version) { return version % 1000 / 10; }

std::string build() {
  char text[64];
  std::snprintf(text, sizeof text, "cuda %d.%d, driver %s or newer", major_of(CUDART_VERSION),
                minor_of(CUDART_VERSION), OLDEST_DRIVER);
  return text;
}

}  // namespace

const char* kernels_build() {
  static const std::string text = build();
  return text.c_str();
}

namespace {

// Host memory is copied to the device through two pinned buffers. Writes follow each other in one until
// it is full: a micro-batch's inputs wait for no earlier copy, which is behind the kernels before it.
constexpr int64_t kStagingBytes = 8 << 20;

// Dynamic shared memory that every kernel may use, and from which on a kernel's blocks want more of
// it than the driver might set aside.
constexpr int kDefaultShared = 48 << 10;
constexpr int kLargeShared = 16 << 10;

struct Staging {
  void* data = nullptr;
  int64_t used = 0;
  cudaEvent_t sent = nullptr;  // after the last copy
};

}  // namespace

struct qlora_context {
  int device = 0;
  cudaStream_t stream = nullptr;
  cudaEvent_t marks[2] = {};
  Transfers transfers;
  Staging staging[2];
  int next_staging = 0;
  Failure* failure = nullptr;   // on the device
  Failure* received = nullptr;  // pinned
  int processors = 0;
  int compute = 0;
  Status status;
  Kernels kernels;
};

int fail(qlora_context* c, int status, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  status = (c == nullptr ? opening() : c->status).fail(status, format, arguments);
  va_end(arguments);
  return status;
}

namespace {

int failed(qlora_context* c, cudaError_t e, const char* doing) {
  if (e == cudaSuccess) return QLORA_OK;
  cudaGetLastError();  // clears errors that are not sticky
  int status = e == cudaErrorMemoryAllocation ? QLORA_OUT_OF_MEMORY : QLORA_ERROR;
  return fail(c, status, "%s: %s", doing, cudaGetErrorString(e));
}

}  // namespace

#define TRY(doing, call)                     \
  do {                                       \
    int status_ = failed(c, call, doing);    \
    if (status_ != QLORA_OK) return status_; \
  } while (0)

#define ENTER()                              \
  do {                                       \
    int status_ = enter(c);                  \
    if (status_ != QLORA_OK) return status_; \
  } while (0)

namespace {

// Makes the context's GPU current: Go moves between OS threads, and CUDA's current device is per
// thread.
int enter(qlora_context* c) {
  static thread_local int current = -1;
  if (current == c->device) return QLORA_OK;
  TRY("choosing the GPU", cudaSetDevice(c->device));
  current = c->device;
  return QLORA_OK;
}

// Returns the sentence on a runtime that finds no GPU.
int no_gpu(cudaError_t e) {
  int driver = 0;
  if (e == cudaErrorInsufficientDriver && cudaDriverGetVersion(&driver) == cudaSuccess) {
    if (driver == 0) return fail(nullptr, QLORA_NO_DEVICE, "no NVIDIA driver is installed");
    return fail(
        nullptr, QLORA_NO_DEVICE,
        "the NVIDIA driver is too old: it runs CUDA up to %d.%d, and these kernels need CUDA "
        "%d; install driver " OLDEST_DRIVER " or newer",
        major_of(driver), minor_of(driver), major_of(CUDART_VERSION));
  }
  return fail(nullptr, QLORA_NO_DEVICE, "no GPU can be used: %s", cudaGetErrorString(e));
}

// Refuses a GPU that the kernels have no code for.
int check_compute(qlora_context* c) {
  if (c->compute >= kOldestCompute) return QLORA_OK;
  cudaDeviceProp p;
  TRY("asking the GPU", cudaGetDeviceProperties(&p, c->device));
  return fail(
      c, QLORA_NO_DEVICE,
      "GPU %d, %s, is of compute capability %d.%d; the kernels need %d.%d or newer (Ampere, "
      "Ada, Hopper, Blackwell)",
      c->device, p.name, c->compute / 10, c->compute % 10, kOldestCompute / 10,
      kOldestCompute % 10);
}

// Loads every kernel and sets its attributes. The runtime would load a kernel at its first launch,
// into memory that a plan has by then given away, and a launch would report that this GPU has no
// code.
int load_kernels(qlora_context* c) {
  for (int number = 0; const qlora_kernel* k = kernel_number(number); number++) {
    cudaFuncAttributes loaded;
    cudaError_t e = cudaFuncGetAttributes(&loaded, k->function);
    if (e != cudaSuccess) {
      cudaGetLastError();
      return fail(c, QLORA_NO_DEVICE,
                  "%s cannot be loaded on a GPU of compute capability %d.%d: %s", k->name,
                  c->compute / 10, c->compute % 10, cudaGetErrorString(e));
    }
    if (k->shared_bytes > kDefaultShared) {
      TRY(k->name, cudaFuncSetAttribute(k->function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                        k->shared_bytes));
    }
    // Shared memory for as many blocks as registers allow, at the expense of L1.
    if (k->shared_bytes >= kLargeShared) {
      TRY(k->name, cudaFuncSetAttribute(k->function, cudaFuncAttributePreferredSharedMemoryCarveout,
                                        cudaSharedmemCarveoutMaxShared));
    }
  }
  return QLORA_OK;
}

}  // namespace

Failure* failure(qlora_context* c) { return c->failure; }
int processors(qlora_context* c) { return c->processors; }
int compute(qlora_context* c) { return c->compute; }
const char* variant(qlora_context* c) { return c->kernels.variant(); }
bool prefers(qlora_context* c, const char* kind) { return c->kernels.prefers(kind); }

int32_t check_number(qlora_context* c, const char* text) { return c->status.number(text); }

int enqueue(qlora_context* c, const char* kernel, const void* function, dim3 grid, dim3 block,
            size_t shared_bytes, void** arguments) {
  ENTER();
  cudaError_t e = cudaLaunchKernel(function, grid, block, arguments, shared_bytes, c->stream);
  if (e == cudaSuccess) {
    if (const RegisteredKernel* known = kernel_at(function)) c->kernels.launched(*known);
    return QLORA_OK;
  }
  cudaGetLastError();
  return fail(c, QLORA_ERROR, "at or before %s: %s", kernel, cudaGetErrorString(e));
}

int upload(qlora_context* c, void* dst, const void* src, int64_t bytes) {
  return device_write(c, dst, src, bytes);
}

int device_open(int device, const qlora_options* options, qlora_context** context) {
  *context = nullptr;
  int count = 0;
  cudaError_t e = cudaGetDeviceCount(&count);
  if (e != cudaSuccess) {
    cudaGetLastError();
    return no_gpu(e);
  }
  if (device < 0 || device >= count) {
    return fail(nullptr, QLORA_NO_DEVICE, "there is no GPU %d: this machine has %d", device, count);
  }
  auto* c = new (std::nothrow) qlora_context;
  if (c == nullptr) return fail(nullptr, QLORA_OUT_OF_MEMORY, "no memory for a context");
  c->device = device;
  if (options != nullptr && !c->kernels.prefer(options->variant)) {
    delete c;
    return fail(nullptr, QLORA_UNSUPPORTED, "no kernel's name contains \"%s\"", options->variant);
  }
  auto open = [&]() -> int {
    ENTER();
    int major = 0, minor = 0;
    TRY("asking the GPU",
        cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
    TRY("asking the GPU",
        cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device));
    c->compute = major * 10 + minor;
    TRY("asking the GPU",
        cudaDeviceGetAttribute(&c->processors, cudaDevAttrMultiProcessorCount, device));
    int status = check_compute(c);
    if (status != QLORA_OK) return status;
    TRY("making a stream", cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking));
    for (cudaEvent_t& m : c->marks) TRY("making an event", cudaEventCreate(&m));
    for (Staging& s : c->staging) {
      TRY("pinning memory", cudaMallocHost(&s.data, kStagingBytes));
      TRY("making an event", cudaEventCreateWithFlags(&s.sent, cudaEventDisableTiming));
    }
    TRY("pinning memory", cudaMallocHost(reinterpret_cast<void**>(&c->received), sizeof(Failure)));
    TRY("taking memory", cudaMalloc(reinterpret_cast<void**>(&c->failure), sizeof(Failure)));
    TRY("zeroing memory", cudaMemsetAsync(c->failure, 0, sizeof(Failure), c->stream));
    return load_kernels(c);
  };
  int status = open();
  if (status != QLORA_OK) {
    opening().sentence = c->status.sentence;
    device_close(c);
    return status;
  }
  *context = c;
  return QLORA_OK;
}

void device_close(qlora_context* c) {
  if (c == nullptr) return;
  enter(c);
  c->transfers.close();
  if (c->stream != nullptr) {
    cudaStreamSynchronize(c->stream);
    cudaStreamDestroy(c->stream);
  }
  for (cudaEvent_t m : c->marks) {
    if (m != nullptr) cudaEventDestroy(m);
  }
  for (Staging& s : c->staging) {
    if (s.sent != nullptr) cudaEventDestroy(s.sent);
    cudaFreeHost(s.data);
  }
  cudaFreeHost(c->received);
  cudaFree(c->failure);
  cudaGetLastError();
  delete c;
}

const char* device_error(qlora_context* c) {
  return (c == nullptr ? opening() : c->status).sentence.c_str();
}

int device_info(qlora_context* c, qlora_info* info) {
  ENTER();
  std::memset(info, 0, sizeof *info);
  cudaDeviceProp p;
  TRY("asking the GPU", cudaGetDeviceProperties(&p, c->device));
  size_t free_bytes, total_bytes;
  TRY("asking for free memory", cudaMemGetInfo(&free_bytes, &total_bytes));
  int driver = 0, runtime = 0;
  TRY("asking for the driver", cudaDriverGetVersion(&driver));
  TRY("asking for the runtime", cudaRuntimeGetVersion(&runtime));
  std::snprintf(info->name, sizeof info->name, "%.127s", p.name);
  TRY("asking the GPU", cudaDeviceGetPCIBusId(info->bus_id, sizeof info->bus_id, c->device));
  std::snprintf(info->version, sizeof info->version, "driver for CUDA %d.%d, runtime %d.%d",
                driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
  info->compute = p.major * 10 + p.minor;
  info->processors = p.multiProcessorCount;
  info->shared_bytes = static_cast<int32_t>(p.sharedMemPerBlockOptin);
  info->memory_bytes = static_cast<int64_t>(total_bytes);
  info->free_bytes = static_cast<int64_t>(free_bytes);
  info->l2_bytes = p.l2CacheSize;
  return QLORA_OK;
}

int device_allocate(qlora_context* c, int64_t bytes, void** data) {
  ENTER();
  TRY("taking memory", cudaMalloc(data, static_cast<size_t>(bytes)));
  TRY("zeroing memory", cudaMemsetAsync(*data, 0, static_cast<size_t>(bytes), c->stream));
  return QLORA_OK;
}

int device_release(qlora_context* c, void* data) {
  ENTER();
  TRY("finishing", cudaStreamSynchronize(c->stream));
  TRY("giving memory back", cudaFree(data));
  return QLORA_OK;
}

int device_write(qlora_context* c, void* dst, const void* src, int64_t bytes) {
  ENTER();
  // A graph would copy what lies in the pinned buffer when it is replayed.
  cudaStreamCaptureStatus capturing;
  TRY("asking the stream", cudaStreamIsCapturing(c->stream, &capturing));
  if (capturing != cudaStreamCaptureStatusNone) {
    return fail(c, QLORA_ERROR, "a write while a graph is captured");
  }
  while (bytes > 0) {
    Staging* s = &c->staging[c->next_staging];
    if (s->used == kStagingBytes) {  // the other, from its start, once its copies are done
      c->next_staging ^= 1;
      s = &c->staging[c->next_staging];
      TRY("waiting for a copy", cudaEventSynchronize(s->sent));
      s->used = 0;
    }
    int64_t n = std::min(bytes, kStagingBytes - s->used);
    char* from = static_cast<char*>(s->data) + s->used;
    std::memcpy(from, src, static_cast<size_t>(n));
    TRY("copying to the GPU",
        cudaMemcpyAsync(dst, from, static_cast<size_t>(n), cudaMemcpyHostToDevice, c->stream));
    TRY("recording an event", cudaEventRecord(s->sent, c->stream));
    // Copies begin at multiples of 16 bytes.
    s->used = std::min(kStagingBytes, (s->used + n + 15) / 16 * 16);
    dst = static_cast<char*>(dst) + n;
    src = static_cast<const char*>(src) + n;
    bytes -= n;
  }
  return QLORA_OK;
}

int device_read(qlora_context* c, void* dst, const void* src, int64_t bytes) {
  int status = device_sync(c);
  if (status != QLORA_OK) return status;
  TRY("copying from the GPU",
      cudaMemcpyAsync(dst, src, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost, c->stream));
  TRY("copying from the GPU", cudaStreamSynchronize(c->stream));
  return QLORA_OK;
}

int device_zero(qlora_context* c, void* dst, int64_t bytes) {
  ENTER();
  TRY("zeroing memory", cudaMemsetAsync(dst, 0, static_cast<size_t>(bytes), c->stream));
  return QLORA_OK;
}

int device_move(qlora_context* c, void* dst, const void* src, int64_t bytes) {
  ENTER();
  TRY("copying on the GPU",
      cudaMemcpyAsync(dst, src, static_cast<size_t>(bytes), cudaMemcpyDeviceToDevice, c->stream));
  return QLORA_OK;
}

int device_sync(qlora_context* c) {
  ENTER();
  cudaError_t e =
      cudaMemcpyAsync(c->received, c->failure, sizeof(Failure), cudaMemcpyDeviceToHost, c->stream);
  if (e == cudaSuccess) e = cudaStreamSynchronize(c->stream);
  if (e != cudaSuccess) return failed(c, e, "waiting for the GPU");
  if (c->received->check != 0) {
    TRY("zeroing memory", cudaMemsetAsync(c->failure, 0, sizeof(Failure), c->stream));
  }
  return c->status.report(*c->received);
}

int device_mark(qlora_context* c, int which) {
  ENTER();
  TRY("recording an event", cudaEventRecord(c->marks[which & 1], c->stream));
  return QLORA_OK;
}

int device_elapsed(qlora_context* c, float* milliseconds) {
  ENTER();
  TRY("waiting for an event", cudaEventSynchronize(c->marks[1]));
  TRY("reading events", cudaEventElapsedTime(milliseconds, c->marks[0], c->marks[1]));
  return QLORA_OK;
}

int device_counts(qlora_context* c, int number, qlora_counts* counts) {
  if (c->kernels.counts(number, counts)) return QLORA_OK;
  return fail(c, QLORA_ERROR, "there is no kernel %d", number);
}

int device_stream(qlora_context* c, void** stream) {
  ENTER();
  *stream = c->stream;
  return QLORA_OK;
}

int transfers(qlora_context* c, Transfers** of, cudaStream_t* kernels) {
  ENTER();
  *of = &c->transfers;
  *kernels = c->stream;
  return QLORA_OK;
}

int device_extents(qlora_context*, const qlora_extent*, int32_t) { return QLORA_OK; }
int device_schedule(qlora_context*, uint64_t) { return QLORA_OK; }
