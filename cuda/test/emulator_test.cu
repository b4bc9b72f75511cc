// Runs the planted kernels under several schedules, with copies that complete late and early, and
// prints "ok name" or "FAIL name: why" for each; programs_test.go reads that.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>

#include "runtime/device.h"
#include "runtime/launch.h"
#include "test/planted.h"

namespace {

constexpr int kNumbers = 64;
constexpr int64_t kBytes = kNumbers * sizeof(float);
constexpr size_t kSharedBytes = 1024;

// Returns the fault, or "".
std::string run(qlora_context* c, const Planted& p) {
  void *x, *y;
  if (device_allocate(c, kBytes, &x) != QLORA_OK || device_allocate(c, kBytes, &y) != QLORA_OK) {
    return device_error(c);
  }
  float in[kNumbers], out[kNumbers];
  for (int i = 0; i < kNumbers; i++) in[i] = static_cast<float>(i * i);
  device_write(c, x, in, kBytes);
  qlora_extent extents[] = {{x, kBytes, "x", 0, 0, 0, 0}, {y, kBytes, "y", 0, 0, 0, 0}};
  device_extents(c, extents, 2);
  launch(c, p.name, p.kernel, dim3(p.blocks), dim3(kNumbers), kSharedBytes,
         static_cast<const float*>(x), static_cast<float*>(y));
  std::string said = device_sync(c) == QLORA_OK ? "" : device_error(c);
  std::string wrong;
  if (*p.fault == 0) {
    wrong = said;
    device_read(c, out, y, kBytes);
    for (int i = 0; i < kNumbers && wrong.empty(); i++) {
      if (out[i] != in[(i + 33) % kNumbers]) {
        wrong = "y[" + std::to_string(i) + "] is " + std::to_string(out[i]) + ", want " +
                std::to_string(in[(i + 33) % kNumbers]);
      }
    }
  } else if (said.find(p.fault) == std::string::npos) {
    wrong = "said \"" + said + "\", want \"" + p.fault + "\"";
  }
  device_extents(c, nullptr, 0);
  device_release(c, x);
  device_release(c, y);
  return wrong;
}

}  // namespace

int main() {
  std::deque<RegisteredKernel> known;  // every launched kernel is registered
  for (int n = 0; const Planted* p = planted(n); n++) {
    known.emplace_back(p->name, kNumbers, static_cast<int>(kSharedBytes), nullptr);
    std::string wrong;
    for (const char* eager : {"", "1"}) {
      setenv("QLORA_EMU_EAGER", eager, 1);
      qlora_context* c;
      if (device_open(0, nullptr, &c) != QLORA_OK) {
        std::printf("FAIL open: %s\n", device_error(nullptr));
        return 1;
      }
      for (uint64_t schedule = 0; schedule < 12 && wrong.empty(); schedule++) {
        device_schedule(c, schedule);
        wrong = run(c, *p);
        if (!wrong.empty()) wrong = "schedule " + std::to_string(schedule) + ": " + wrong;
      }
      device_close(c);
    }
    std::printf(wrong.empty() ? "ok %s\n" : "FAIL %s: %s\n", p->name, wrong.c_str());
  }
}
