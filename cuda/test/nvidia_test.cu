// Opens and uses the GPU device on machines that fake/cuda_runtime_api.h describes, and prints "ok
// name" or "FAIL name: why" for each; programs_test.go reads that.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "runtime/context.h"
#include "runtime/device.h"
#include "runtime/enqueue.h"

namespace {

char stub[3];  // stands for the kernels' host stubs
const RegisteredKernel small("small", 256, 1 << 10, &stub[0]);
const RegisteredKernel two_a_processor("two_a_processor", 256, 48 << 10, &stub[1]);
const RegisteredKernel large("large", 256, 96 << 10, &stub[2]);

fake::Machine& machine() { return fake::machine(); }

void check(const char* name, const std::string& wrong) {
  std::printf("%s %s%s%s\n", wrong.empty() ? "ok" : "FAIL", name, wrong.empty() ? "" : ": ",
              wrong.c_str());
}

std::string expect(bool ok, const std::string& what) { return ok ? "" : what; }

// Opens GPU 0 of the machine, and returns what is wrong with the outcome.
std::string refused(const std::string& words) {
  qlora_context* c = nullptr;
  int status = device_open(0, nullptr, &c);
  std::string said = device_error(nullptr);
  device_close(c);
  if (status != QLORA_NO_DEVICE) return "status " + std::to_string(status);
  return expect(said.find(words) != std::string::npos, "said \"" + said + "\", want " + words);
}

struct Opened {
  qlora_context* c = nullptr;
  int status = device_open(0, nullptr, &c);
  ~Opened() { device_close(c); }
};

std::string loads_before_memory_is_asked_for() {
  Opened o;
  if (o.status != QLORA_OK) return device_error(nullptr);
  qlora_info info;
  if (device_info(o.c, &info) != QLORA_OK) return device_error(o.c);
  const std::vector<std::string>& log = machine().log;
  auto asked = std::find(log.begin(), log.end(), "cudaMemGetInfo");
  auto loaded = std::count(log.begin(), asked, "cudaFuncGetAttributes");
  return expect(asked != log.end() && loaded == 3, std::to_string(loaded) + " kernels, want 3");
}

std::string sets_attributes_once() {
  Opened o;
  int shared = machine().count("shared"), carveout = machine().count("carveout");
  if (shared != 1 || carveout != 2) {
    return std::to_string(shared) + " kernels with much shared memory, want 1; " +
           std::to_string(carveout) + " carve-outs, want 2";
  }
  size_t before = machine().log.size();
  void* arguments[] = {nullptr};
  for (int i = 0; i < 5; i++)
    enqueue(o.c, "large", &stub[2], {1, 1, 1}, {256, 1, 1}, 96 << 10, arguments);
  return expect(machine().log.size() == before + 5 && machine().count("cudaLaunchKernel") == 5,
                std::to_string(machine().log.size() - before) + " calls for 5 launches");
}

std::string numbers_checks_by_their_texts() {
  Opened o;
  static const char ids[] = "id %d %d %d", labels[] = "label %d %d %d";
  int first = check_number(o.c, ids), other = check_number(o.c, labels);
  machine().errors["cudaStreamSynchronize"] = cudaErrorIllegalAddress;
  int status = device_sync(o.c);
  if (status != QLORA_ERROR) return "status " + std::to_string(status);
  machine().errors.clear();
  if (first != 1 || other != 2 || check_number(o.c, ids) != 1 || check_number(o.c, labels) != 2) {
    return "numbers " + std::to_string(first) + " and " + std::to_string(other) +
           ", or later others";
  }
  *failure(o.c) = {2, 3, 4, 5};
  status = device_sync(o.c);
  std::string said = device_error(o.c);
  return expect(status == QLORA_ERROR && said == "label 3 4 5", "said \"" + said + "\"");
}

std::string captures_a_graph() {
  Opened o;
  if (device_capture(o.c) != QLORA_OK) return device_error(o.c);
  void* p = o.c;
  if (device_write(o.c, p, p, 1) != QLORA_ERROR) return "a write is captured";
  void* graph = nullptr;
  int64_t bytes = -1;
  if (device_captured(o.c, &graph, &bytes) != QLORA_OK) return device_error(o.c);
  for (int i = 0; i < 3; i++) device_replay(o.c, graph);
  int launches = machine().count("cudaGraphLaunch");
  device_drop(o.c, graph);
  return expect(launches == 3 && bytes == 0 && machine().graphs == 0,
                std::to_string(launches) + " launches, " + std::to_string(bytes) + " bytes, " +
                    std::to_string(machine().graphs) + " graphs left");
}

std::string gives_up_a_graph() {
  for (const char* function : {"cudaStreamEndCapture", "cudaGraphInstantiate", "cudaGraphUpload"}) {
    Opened o;
    machine().errors[function] = cudaErrorStreamCaptureInvalidated;
    device_capture(o.c);
    void* graph = o.c;
    int64_t bytes = 0;
    int status = device_captured(o.c, &graph, &bytes);
    if (status != QLORA_ERROR || graph != nullptr || machine().graphs != 0 || machine().capturing) {
      return std::string(function) + ": status " + std::to_string(status) + ", " +
             std::to_string(machine().graphs) + " graphs left";
    }
    machine().errors.clear();
  }
  return "";
}

std::string blames_no_single_kernel() {
  Opened o;
  machine().errors["cudaLaunchKernel"] = cudaErrorIllegalAddress;
  void* arguments[] = {nullptr};
  enqueue(o.c, "small", &stub[0], {1, 1, 1}, {256, 1, 1}, 0, arguments);
  std::string said = device_error(o.c), want = "at or before small: an illegal memory access";
  return expect(said.rfind(want, 0) == 0, "said \"" + said + "\"");
}

// Returns a context's launches of the kernel of that name.
int64_t launches(qlora_context* c, const std::string& name) {
  for (int number = 0; const qlora_kernel* k = kernel_number(number); number++) {
    qlora_counts counts;
    if (k->name == name)
      return device_counts(c, number, &counts) == QLORA_OK ? counts.launches : -1;
  }
  return -1;
}

std::string counts_launches() {
  Opened o;
  void* arguments[] = {nullptr};
  for (int i = 0; i < 3; i++) enqueue(o.c, "large", &stub[2], {1, 1, 1}, {256, 1, 1}, 0, arguments);
  machine().errors["cudaLaunchKernel"] = cudaErrorIllegalAddress;
  enqueue(o.c, "large", &stub[2], {1, 1, 1}, {256, 1, 1}, 0, arguments);
  int64_t n = launches(o.c, "large"), others = launches(o.c, "small");
  return expect(n == 3 && others == 0,
                std::to_string(n) + " and " + std::to_string(others) + " launches, want 3 and 0");
}

std::string prefers_a_known_variant() {
  qlora_context* c = nullptr;
  qlora_options options{};
  options.variant = "enormous";
  int status = device_open(0, &options, &c);
  std::string said = device_error(nullptr);
  if (status != QLORA_UNSUPPORTED || said != "no kernel's name contains \"enormous\"") {
    return "status " + std::to_string(status) + ", said \"" + said + "\"";
  }
  options.variant = "large";
  if (device_open(0, &options, &c) != QLORA_OK) return device_error(nullptr);
  std::string is = variant(c);
  device_close(c);
  return expect(is == "large", "prefers \"" + is + "\"");
}

std::string writes_without_waiting() {
  Opened o;
  constexpr int64_t kBytes = 20 << 20;
  void* p;
  device_allocate(o.c, kBytes, &p);
  std::string text(kBytes, ' ');
  for (size_t i = 0; i < text.size(); i++) text[i] = static_cast<char>(i * 2654435761u >> 24);
  for (int64_t i = 0; i < 100; i++)
    device_write(o.c, static_cast<char*>(p) + i * 1001, &text[i * 1001], 1001);
  if (machine().count("cudaEventSynchronize") != 0) return "a small write waits";
  device_write(o.c, static_cast<char*>(p) + 100100, &text[100100], kBytes - 100100);
  int waits = machine().count("cudaEventSynchronize");
  bool same = std::memcmp(p, text.data(), text.size()) == 0;
  device_release(o.c, p);
  return expect(same && waits == 2,
                same ? std::to_string(waits) + " waits, want 2" : "other bytes");
}

std::string moves_on_a_second_stream() {
  Opened o;
  int64_t numbers[4] = {1, 2, 3, 4};
  void *host = nullptr, *p = nullptr;
  device_allocate(o.c, sizeof numbers, &p);
  if (device_allocate_host(o.c, sizeof numbers, &host) != QLORA_OK) return device_error(o.c);
  device_await(o.c, 1);  // nothing was moved
  machine().log.clear();
  qlora_transfer down{host, numbers, sizeof numbers, 1, 1}, up{p, host, sizeof numbers, 0, 2};
  qlora_transfer unnamed{host, numbers, sizeof numbers, 1, 0}, wrong{host, numbers, 1, 1, 9};
  if (device_transfer(o.c, &down) != QLORA_OK || device_transfer(o.c, &unnamed) != QLORA_OK ||
      device_transfer(o.c, &up) != QLORA_OK || device_await(o.c, 2) != QLORA_OK) {
    return device_error(o.c);
  }
  if (device_transfer(o.c, &wrong) != QLORA_UNSUPPORTED ||
      device_await(o.c, 0) != QLORA_UNSUPPORTED)
    return "an event that there is not";
  bool same = std::memcmp(p, numbers, sizeof numbers) == 0;
  // A wait for the kernels before each copy, and one for the copies.
  int waits = machine().count("cudaStreamWaitEvent"),
      host_waits = machine().count("cudaEventSynchronize");
  device_release_host(o.c, host);
  device_release(o.c, p);
  return expect(same && waits == 4 && host_waits == 0,
                same ? std::to_string(waits) + " waits, want 4" : "other bytes");
}

std::string fetches_aside() {
  Opened a, b;
  int64_t numbers[4] = {1, 2, 3, 4};
  void *p = nullptr, *q = nullptr, *to = nullptr, *stream = nullptr, *copies = nullptr;
  device_allocate(a.c, sizeof numbers, &p);
  device_allocate(b.c, sizeof numbers, &q);
  device_write(b.c, q, numbers, sizeof numbers);
  if (device_arriving(a.c, 1) != QLORA_OK) return "nothing was begun, and arriving fails";
  machine().log.clear();
  if (device_aside(b.c, q, sizeof numbers, &copies, &to) != QLORA_OK ||
      device_aside(a.c, p, sizeof numbers, &stream, &to) != QLORA_OK ||
      device_fetch(a.c, b.c, to, q, sizeof numbers) != QLORA_OK ||
      device_arriving(a.c, 1) != QLORA_OK || device_await(a.c, 1) != QLORA_OK) {
    return device_error(a.c);
  }
  if (device_arriving(a.c, 0) != QLORA_UNSUPPORTED) return "an event that there is not";
  device_stream(a.c, &copies);
  bool same = to == p && std::memcmp(p, numbers, sizeof numbers) == 0 && stream != copies;
  // Each stream for its kernels, the copy for the other GPU's, and the kernels for what came.
  int waits = machine().count("cudaStreamWaitEvent"),
      host_waits = machine().count("cudaEventSynchronize");
  device_release(a.c, p);
  device_release(b.c, q);
  return expect(same && waits == 4 && host_waits == 0,
                same ? std::to_string(waits) + " waits, want 4" : "other bytes or streams");
}

std::string tells_what_cannot_be_pinned() {
  Opened o;
  machine().errors["cudaMallocHost"] = cudaErrorMemoryAllocation;
  void* p;
  int status = device_allocate_host(o.c, 1, &p);
  return expect(status == QLORA_OUT_OF_MEMORY, "status " + std::to_string(status));
}

std::string tells_full_memory() {
  Opened o;
  machine().errors["cudaMalloc"] = cudaErrorMemoryAllocation;
  void* p;
  int status = device_allocate(o.c, 1, &p);
  return expect(status == QLORA_OUT_OF_MEMORY, "status " + std::to_string(status));
}

}  // namespace

int main() {
  auto on = [](fake::Machine m) { machine() = std::move(m); };
  fake::Machine m;
  m.errors["cudaGetDeviceCount"] = cudaErrorInsufficientDriver;
  m.driver = 12040;
  on(m);
  check("an old driver",
        refused("runs CUDA up to 12.4, and these kernels need CUDA 13; install driver 580"));
  m.driver = 0;
  on(m);
  check("no driver", refused("no NVIDIA driver is installed"));
  m.errors["cudaGetDeviceCount"] = cudaErrorNoDevice;
  on(m);
  check("no GPU", refused("no GPU can be used"));

  m = {};
  m.name = "Tesla T4";
  m.compute = 75;
  on(m);
  check("compute capability 7.5",
        refused("GPU 0, Tesla T4, is of compute capability 7.5; the kernels need 8.0"));
  m = {};
  m.errors["cudaFuncGetAttributes"] = cudaErrorNoKernelImageForDevice;
  on(m);
  check("a GPU without code", refused("cannot be loaded on a GPU of compute capability 8.0"));

  struct {
    const char* name;
    std::string (*run)();
  } uses[] = {
      {"loads kernels before memory is asked for", loads_before_memory_is_asked_for},
      {"sets attributes once", sets_attributes_once},
      {"numbers checks by their texts", numbers_checks_by_their_texts},
      {"captures a graph", captures_a_graph},
      {"gives up a graph", gives_up_a_graph},
      {"blames no single kernel", blames_no_single_kernel},
      {"writes without waiting", writes_without_waiting},
      {"tells full memory", tells_full_memory},
      {"moves on a second stream", moves_on_a_second_stream},
      {"fetches aside", fetches_aside},
      {"tells what cannot be pinned", tells_what_cannot_be_pinned},
      {"counts launches", counts_launches},
      {"prefers a known variant", prefers_a_known_variant},
  };
  for (auto& use : uses) {
    on({});
    check(use.name, use.run());
  }
}
