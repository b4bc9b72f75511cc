// The GPU device, through the CUDA runtime.
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <new>

#include "runtime/device.h"
#include "runtime/launch.h"
#include "runtime/status.h"

#define TEXT_OF(x) #x
#define VALUE_OF(x) TEXT_OF(x)
const char* const kBuild =
    "cuda " VALUE_OF(__CUDACC_VER_MAJOR__) "." VALUE_OF(__CUDACC_VER_MINOR__);

namespace {

// Host memory is copied to the device through pinned buffers, two of them in flight at a time.
constexpr int64_t kStagingBytes = 8 << 20;

struct Staging {
  void* data = nullptr;
  cudaEvent_t sent = nullptr;
};

}  // namespace

struct qlora_context {
  int device = 0;
  cudaStream_t stream = nullptr;
  cudaEvent_t marks[2] = {};
  Staging staging[2];
  int next_staging = 0;
  Failure* failure = nullptr;   // on the device
  Failure* received = nullptr;  // pinned
  int processors = 0;
  int compute = 0;
  Status status;
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

int enter(qlora_context* c) { return failed(c, cudaSetDevice(c->device), "choosing the GPU"); }

Failure* failure(qlora_context* c) { return c->failure; }
cudaStream_t stream(qlora_context* c) { return c->stream; }
int processors(qlora_context* c) { return c->processors; }
int compute(qlora_context* c) { return c->compute; }

int32_t new_check(qlora_context* c, const char* text) {
  c->status.checks.push_back(text);
  return static_cast<int32_t>(c->status.checks.size());
}

int launched(qlora_context* c, const char* kernel) { return failed(c, cudaGetLastError(), kernel); }

int allow_shared(qlora_context* c, const char* kernel, const void* function, size_t bytes) {
  TRY(kernel, cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   static_cast<int>(bytes)));
  return QLORA_OK;
}

int upload(qlora_context* c, void* dst, const void* src, int64_t bytes) {
  return device_write(c, dst, src, bytes);
}

int device_open(int device, qlora_context** context) {
  *context = nullptr;
  int count = 0;
  cudaError_t e = cudaGetDeviceCount(&count);
  if (e != cudaSuccess) {
    cudaGetLastError();
    return fail(nullptr, QLORA_NO_DEVICE, "no GPU can be used: %s", cudaGetErrorString(e));
  }
  if (device < 0 || device >= count) {
    return fail(nullptr, QLORA_NO_DEVICE, "there is no GPU %d: this machine has %d", device, count);
  }
  auto* c = new (std::nothrow) qlora_context;
  if (c == nullptr) return fail(nullptr, QLORA_OUT_OF_MEMORY, "no memory for a context");
  c->device = device;
  auto open = [&]() -> int {
    ENTER();
    TRY("making a stream", cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking));
    for (cudaEvent_t& m : c->marks) TRY("making an event", cudaEventCreate(&m));
    for (Staging& s : c->staging) {
      TRY("pinning memory", cudaMallocHost(&s.data, kStagingBytes));
      TRY("making an event", cudaEventCreateWithFlags(&s.sent, cudaEventDisableTiming));
    }
    TRY("pinning memory", cudaMallocHost(&c->received, sizeof(Failure)));
    TRY("taking memory", cudaMalloc(&c->failure, sizeof(Failure)));
    TRY("zeroing memory", cudaMemset(c->failure, 0, sizeof(Failure)));
    TRY("asking the GPU",
        cudaDeviceGetAttribute(&c->processors, cudaDevAttrMultiProcessorCount, device));
    int major = 0, minor = 0;
    TRY("asking the GPU",
        cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
    TRY("asking the GPU",
        cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device));
    c->compute = major * 10 + minor;
    return QLORA_OK;
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
  cudaSetDevice(c->device);
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
  std::snprintf(info->name, sizeof info->name, "%s", p.name);
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
  while (bytes > 0) {
    Staging& s = c->staging[c->next_staging];
    c->next_staging ^= 1;
    int64_t n = bytes < kStagingBytes ? bytes : kStagingBytes;
    TRY("waiting for a copy", cudaEventSynchronize(s.sent));
    std::memcpy(s.data, src, static_cast<size_t>(n));
    TRY("copying to the GPU",
        cudaMemcpyAsync(dst, s.data, static_cast<size_t>(n), cudaMemcpyHostToDevice, c->stream));
    TRY("recording an event", cudaEventRecord(s.sent, c->stream));
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
  TRY("reading the GPU's checks",
      cudaMemcpyAsync(c->received, c->failure, sizeof(Failure), cudaMemcpyDeviceToHost, c->stream));
  TRY("waiting for the GPU", cudaStreamSynchronize(c->stream));
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

int device_extents(qlora_context*, const qlora_extent*, int32_t) { return QLORA_OK; }
int device_schedule(qlora_context*, uint64_t) { return QLORA_OK; }
