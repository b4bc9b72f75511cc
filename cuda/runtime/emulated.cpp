// The device on the emulator. Calls are synchronous, but a kernel's fault is reported by sync, as
// on a GPU.
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <unordered_map>
#include <vector>

#include "emu/machine.h"
#include "emu/transfers.h"
#include "runtime/device.h"
#include "runtime/kernels.h"
#include "runtime/launch.h"
#include "runtime/status.h"
#include "runtime/transfer.h"

const char* kernels_build() { return "emulator"; }

namespace {
// A graph: what was recorded, in order.
using Graph = std::vector<std::function<int()>>;
constexpr int64_t kNodeBytes = 1 << 10;  // a node's on a GPU, about
}  // namespace

struct qlora_context {
  emu::Machine machine{static_cast<int>(std::max(1u, std::thread::hardware_concurrency()))};
  Status status;
  Kernels kernels;
  // As many as a small GPU has: enough to split work as on one, few enough to run.
  int processors = 16;
  int compute = 80;
  bool dry = false;                            // launches are only counted
  std::unordered_map<void*, size_t> reserved;  // of the host, and when dry all memory: bytes
  emu::Transfers transfers{"a transfer from the host"};
  emu::Transfers gathers{"what other ranks send"};
  std::string coming;  // written aside, for coming_to
  void* coming_to = nullptr;
  Failure* failure = nullptr;
  std::string fault;           // a kernel's first fault since the last sync
  Graph* recording = nullptr;  // while a graph is captured
  std::unordered_map<void*, std::unique_ptr<Graph>> graphs;
  std::chrono::steady_clock::time_point marks[2];
};

int fail(qlora_context* c, int status, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  status = (c == nullptr ? opening() : c->status).fail(status, format, arguments);
  va_end(arguments);
  return status;
}

Failure* failure(qlora_context* c) { return c->failure; }

int32_t check_number(qlora_context* c, const char* text) { return c->status.number(text); }

int processors(qlora_context* c) { return c->processors; }
int compute(qlora_context* c) { return c->compute; }
const char* variant(qlora_context* c) { return c->kernels.variant(); }
bool prefers(qlora_context* c, const char* kind) { return c->kernels.prefers(kind); }

int upload(qlora_context* c, void* dst, const void* src, int64_t bytes) {
  return device_write(c, dst, src, bytes);
}

namespace {
void add(qlora_counts* to, const emu::Counts& more) {
  to->shared_accesses += more.shared_accesses;
  to->wavefronts += more.wavefronts;
  to->least_wavefronts += more.least_wavefronts;
  to->global_accesses += more.global_accesses;
  to->sectors_read += more.sectors_read;
  to->sectors_written += more.sectors_written;
  to->least_sectors += more.least_sectors;
}
}  // namespace

int run_emulated(qlora_context* c, const char* kernel, dim3 grid, dim3 block, size_t shared_bytes,
                 void (*body)(const void*), const void* arguments, size_t argument_bytes) {
  if (!c->fault.empty()) return QLORA_OK;  // the device is lost until sync reports it
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.y > 65535 || grid.z > 65535) {
    return fail(c, QLORA_ERROR, "%s: a grid of (%u, %u, %u) blocks", kernel, grid.x, grid.y,
                grid.z);
  }
  uint32_t threads = block.x * block.y * block.z;
  if (threads == 0 || threads > 1024 || shared_bytes > (227u << 10)) {
    return fail(c, QLORA_ERROR, "%s: %u threads and %zu bytes of shared memory in a block", kernel,
                threads, shared_bytes);
  }
  // The registered properties must match the launch.
  // A call begins with its kernel, which is found faster than a name: as on a GPU.
  const RegisteredKernel* known =
      c->dry ? kernel_at(*static_cast<void* const*>(arguments)) : kernel_named(kernel);
  if (known == nullptr) {
    return fail(c, QLORA_ERROR, "%s is not registered (see REGISTER_KERNEL)", kernel);
  }
  if (threads > static_cast<uint32_t>(known->kernel.threads) ||
      shared_bytes > static_cast<size_t>(known->kernel.shared_bytes)) {
    return fail(c, QLORA_ERROR,
                "%s: %u threads and %zu bytes of shared memory in a block, more than the %d and %d "
                "that are registered",
                kernel, threads, shared_bytes, known->kernel.threads, known->kernel.shared_bytes);
  }
  if (c->recording != nullptr) {
    auto* call = static_cast<const unsigned char*>(arguments);
    std::vector<unsigned char> copy(call, call + argument_bytes);
    c->recording->push_back([=] {
      return run_emulated(c, kernel, grid, block, shared_bytes, body, copy.data(), argument_bytes);
    });
    return QLORA_OK;
  }
  qlora_counts* counts = c->kernels.launched(*known);
  if (c->dry) return QLORA_OK;
  for (const emu::Transfers* t : {&c->transfers, &c->gathers}) {
    std::string early = t->conflict(c->machine.memory);
    if (early.empty()) continue;
    c->fault = std::string(kernel) + ": " + early;
    return QLORA_OK;
  }
  c->fault = c->machine.run(kernel, grid, block, shared_bytes, body, arguments, argument_bytes);
  add(counts, c->machine.counts());
  return QLORA_OK;
}

int device_open(int device, const qlora_options* options, qlora_context** context) {
  *context = nullptr;
  if (device != 0) return fail(nullptr, QLORA_NO_DEVICE, "the emulator is one device, number 0");
  auto* c = new (std::nothrow) qlora_context;
  if (c == nullptr) return fail(nullptr, QLORA_OUT_OF_MEMORY, "no memory for the emulator");
  if (options != nullptr) {
    if (!c->kernels.prefer(options->variant)) {
      delete c;
      return fail(nullptr, QLORA_UNSUPPORTED, "no kernel's name contains \"%s\"", options->variant);
    }
    if (options->processors > 0) c->processors = options->processors;
    if (options->compute > 0) c->compute = options->compute;
    c->machine.counting = options->counting != 0;
    c->dry = options->dry != 0;
  }
  c->failure = static_cast<Failure*>(c->machine.memory.allocate_shared_by_all(sizeof(Failure)));
  const char* eager = std::getenv("QLORA_EMU_EAGER");
  c->machine.eager = eager != nullptr && *eager != 0;
  *context = c;
  return QLORA_OK;
}

void device_close(qlora_context* c) {
  if (c == nullptr) return;
  for (auto& r : c->reserved) munmap(r.first, r.second);
  delete c;
}

const char* device_error(qlora_context* c) {
  return (c == nullptr ? opening() : c->status).sentence.c_str();
}

int device_info(qlora_context* c, qlora_info* info) {
  std::memset(info, 0, sizeof *info);
  std::strcpy(info->name, "emulator");
  std::strcpy(info->version, "SIMT emulator");
  info->compute = compute(c);
  info->processors = processors(c);
  info->shared_bytes = 227 << 10;
  info->memory_bytes = info->free_bytes = int64_t{1} << 40;
  info->l2_bytes = 32 << 20;
  return QLORA_OK;
}

int device_allocate(qlora_context* c, int64_t bytes, void** data) {
  if (c->dry) {
    auto size = static_cast<size_t>(bytes);
    *data = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                 -1, 0);
    if (*data == MAP_FAILED) return fail(c, QLORA_OUT_OF_MEMORY, "no %zu bytes of addresses", size);
    c->reserved[*data] = size;
    return QLORA_OK;
  }
  *data = c->machine.memory.allocate(static_cast<size_t>(bytes));
  if (*data == nullptr) {
    return fail(c, QLORA_OUT_OF_MEMORY, "no %lld bytes of memory", static_cast<long long>(bytes));
  }
  return QLORA_OK;
}

int device_release(qlora_context* c, void* data) {
  c->gathers.finish();  // of memory that is given back at the end
  if (auto r = c->reserved.find(data); r != c->reserved.end()) {
    munmap(r->first, r->second);
    c->reserved.erase(r);
    return QLORA_OK;
  }
  if (c->machine.memory.release(data)) return QLORA_OK;
  return fail(c, QLORA_ERROR, "releasing what was not allocated");
}

namespace {
// Keeps the fault of work on bytes that a transfer has not left, or not reached.
void touch(qlora_context* c, const char* work, const void* data, int64_t bytes, bool writes) {
  for (const emu::Transfers* t : {&c->transfers, &c->gathers}) {
    std::string early = t->conflict(data, static_cast<size_t>(bytes), writes);
    if (!early.empty() && c->fault.empty()) c->fault = std::string(work) + " " + early;
  }
}
}  // namespace

int device_write(qlora_context* c, void* dst, const void* src, int64_t bytes) {
  if (c->recording != nullptr) return fail(c, QLORA_ERROR, "a write while a graph is captured");
  touch(c, "a write", dst, bytes, true);
  std::memcpy(dst, src, static_cast<size_t>(bytes));
  return QLORA_OK;
}

int device_read(qlora_context* c, void* dst, const void* src, int64_t bytes) {
  touch(c, "a read", src, bytes, false);
  int status = device_sync(c);
  if (status == QLORA_OK) std::memcpy(dst, src, static_cast<size_t>(bytes));
  return status;
}

int device_zero(qlora_context* c, void* dst, int64_t bytes) {
  if (c->recording != nullptr) {
    c->recording->push_back([=] { return device_zero(c, dst, bytes); });
    return QLORA_OK;
  }
  touch(c, "zeroing", dst, bytes, true);
  if (!c->dry) std::memset(dst, 0, static_cast<size_t>(bytes));
  return QLORA_OK;
}

int device_move(qlora_context* c, void* dst, const void* src, int64_t bytes) {
  if (c->recording != nullptr) {
    c->recording->push_back([=] { return device_move(c, dst, src, bytes); });
    return QLORA_OK;
  }
  touch(c, "a copy", src, bytes, false);
  touch(c, "a copy", dst, bytes, true);
  if (!c->dry) std::memmove(dst, src, static_cast<size_t>(bytes));
  return QLORA_OK;
}

int device_sync(qlora_context* c) {
  if (c->recording != nullptr) return fail(c, QLORA_ERROR, "a wait while a graph is captured");
  Failure f = *c->failure;
  *c->failure = Failure{};
  int status = c->status.report(f);
  if (!c->fault.empty()) {
    std::string fault;
    fault.swap(c->fault);
    status = fail(c, QLORA_ERROR, "%s", fault.c_str());
  }
  return status;
}

int device_mark(qlora_context* c, int which) {
  c->marks[which & 1] = std::chrono::steady_clock::now();
  return QLORA_OK;
}

int device_elapsed(qlora_context* c, float* milliseconds) {
  std::chrono::duration<float, std::milli> d = c->marks[1] - c->marks[0];
  *milliseconds = d.count();
  return QLORA_OK;
}

int device_counts(qlora_context* c, int number, qlora_counts* counts) {
  if (c->kernels.counts(number, counts)) return QLORA_OK;
  return fail(c, QLORA_ERROR, "there is no kernel %d", number);
}

int device_stream(qlora_context*, void** stream) {
  *stream = nullptr;
  return QLORA_OK;
}

int device_allocate_host(qlora_context* c, int64_t bytes, void** data) {
  *data = mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (*data == MAP_FAILED) {
    return fail(c, QLORA_OUT_OF_MEMORY, "no %lld bytes of the host's memory",
                static_cast<long long>(bytes));
  }
  c->reserved[*data] = static_cast<size_t>(bytes);
  return QLORA_OK;
}

int device_release_host(qlora_context* c, void* data) {
  c->transfers.finish();
  return device_release(c, data);
}

int device_transfer(qlora_context* c, const qlora_transfer* op) {
  int status = check_event(c, op->event, 0);
  if (status == QLORA_OK && c->recording != nullptr) {
    c->recording->push_back([c, copy = *op] { return device_transfer(c, &copy); });
    return QLORA_OK;
  }
  if (status != QLORA_OK || c->dry) return status;
  c->transfers.enqueue(op->dst, op->src, static_cast<size_t>(op->bytes), op->to_host != 0,
                       op->event);
  return QLORA_OK;
}

int device_await(qlora_context* c, int32_t event) {
  int status = check_event(c, event, 1);
  if (status == QLORA_OK && c->recording != nullptr) {
    c->recording->push_back([=] { return device_await(c, event); });
    return QLORA_OK;
  }
  if (status != QLORA_OK) return status;
  std::string wrong = c->transfers.await(event);
  if (c->fault.empty()) c->fault = wrong;
  c->gathers.await(event);
  return QLORA_OK;
}

int device_aside(qlora_context* c, void* dst, int64_t bytes, void** stream, void** to) {
  c->coming.resize(static_cast<size_t>(bytes));
  c->coming_to = dst;
  *stream = nullptr;
  *to = c->coming.data();
  return QLORA_OK;
}

int device_fetch(qlora_context*, qlora_context*, void* to, const void* src, int64_t bytes) {
  std::memcpy(to, src, static_cast<size_t>(bytes));
  return QLORA_OK;
}

int device_arriving(qlora_context* c, int32_t event) {
  int status = check_event(c, event, 1);
  if (status != QLORA_OK || c->dry) return status;
  c->gathers.arrive(c->coming_to, std::move(c->coming), event);
  c->coming.clear();
  return QLORA_OK;
}

int device_extents(qlora_context* c, const qlora_extent* list, int32_t count) {
  std::vector<emu::Extent> extents;
  for (int32_t i = 0; i < count; i++) {
    auto begin = reinterpret_cast<uintptr_t>(list[i].data);
    emu::Extent e;
    e.begin = begin;
    e.end = begin + static_cast<uintptr_t>(list[i].bytes);
    e.name = list[i].name;
    e.stride = static_cast<size_t>(list[i].stride);
    e.span = static_cast<size_t>(list[i].span);
    e.period = static_cast<size_t>(list[i].period);
    e.width = static_cast<size_t>(list[i].width);
    extents.push_back(std::move(e));
  }
  if (c->recording != nullptr) {
    c->recording->push_back([c, extents = std::move(extents)] {
      c->machine.memory.restrict_to(extents);
      return QLORA_OK;
    });
    return QLORA_OK;
  }
  c->machine.memory.restrict_to(std::move(extents));
  return QLORA_OK;
}

int device_capture(qlora_context* c) {
  if (c->recording != nullptr) return fail(c, QLORA_ERROR, "a graph in a graph");
  c->recording = new Graph;
  return QLORA_OK;
}

int device_captured(qlora_context* c, void** graph, int64_t* bytes) {
  if (c->recording == nullptr) return fail(c, QLORA_ERROR, "no graph is captured");
  std::unique_ptr<Graph> made(c->recording);
  c->recording = nullptr;
  *graph = made.get();
  *bytes = static_cast<int64_t>(made->size()) * kNodeBytes;
  c->graphs[*graph] = std::move(made);
  return QLORA_OK;
}

int device_replay(qlora_context* c, void* graph) {
  auto found = c->graphs.find(graph);
  if (found == c->graphs.end()) return fail(c, QLORA_ERROR, "replaying what was not captured");
  for (const auto& work : *found->second) {
    int status = work();
    if (status != QLORA_OK) return status;
  }
  return QLORA_OK;
}

int device_drop(qlora_context* c, void* graph) {
  if (c->graphs.erase(graph) > 0) return QLORA_OK;
  return fail(c, QLORA_ERROR, "dropping what was not captured");
}

int device_schedule(qlora_context* c, uint64_t seed) {
  c->machine.schedule = seed;
  return QLORA_OK;
}
