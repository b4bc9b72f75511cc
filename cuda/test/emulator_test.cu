// Runs the planted kernels under several schedules, with copies that complete late and early, and
// those of known traffic; prints "ok name" or "FAIL name: why" for each; programs_test.go reads
// that.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "runtime/device.h"
#include "runtime/launch.h"
#include "test/planted.h"

namespace {

constexpr int kNumbers = 64;
constexpr int64_t kBytes = kNumbers * sizeof(float);
constexpr size_t kSharedBytes = 1024;

// A context's numbers, x[i] = i·i and y.
struct Numbers {
  explicit Numbers(qlora_context* c) : c(c) {
    device_allocate(c, kBytes, &x);
    device_allocate(c, kBytes, &y);
    for (int i = 0; i < kNumbers; i++) in[i] = static_cast<float>(i * i);
    device_write(c, x, in, kBytes);
    qlora_extent extents[] = {{x, kBytes, "x", 0, 0, 0, 0}, {y, kBytes, "y", 0, 0, 0, 0}};
    device_extents(c, extents, 2);
  }
  ~Numbers() {
    device_extents(c, nullptr, 0);
    device_release(c, x);
    device_release(c, y);
  }
  // Returns the fault, or "".
  std::string run(const char* name, void (*kernel)(const float*, float*), unsigned blocks) {
    launch(c, name, kernel, dim3(blocks), dim3(kNumbers), kSharedBytes,
           static_cast<const float*>(x), static_cast<float*>(y));
    return device_sync(c) == QLORA_OK ? "" : device_error(c);
  }

  qlora_context* c;
  void *x = nullptr, *y = nullptr;
  float in[kNumbers];
};

// Returns what is wrong, or "".
std::string run(qlora_context* c, const Planted& p) {
  Numbers numbers(c);
  std::string said = numbers.run(p.name, p.kernel, p.blocks);
  if (*p.fault != 0) {
    if (said.find(p.fault) != std::string::npos) return "";
    return "said \"" + said + "\", want \"" + p.fault + "\"";
  }
  float out[kNumbers];
  device_read(c, out, numbers.y, kBytes);
  for (int i = 0; i < kNumbers && said.empty(); i++) {
    float want = numbers.in[(i + 33) % kNumbers];
    if (out[i] != want) {
      said = "y[" + std::to_string(i) + "] is " + std::to_string(out[i]) + ", want " +
             std::to_string(want);
    }
  }
  return said;
}

std::string run(qlora_context* c, const Counted& k) {
  int number = 0;
  while (std::strcmp(kernel_number(number)->name, k.name) != 0) number++;
  qlora_counts before, after;
  device_counts(c, number, &before);
  std::string wrong = Numbers(c).run(k.name, k.kernel, 1);
  device_counts(c, number, &after);
  auto compare = [&](const char* what, int64_t got, int64_t want) {
    if (wrong.empty() && got != want) {
      wrong = std::to_string(got) + " " + what + ", want " + std::to_string(want);
    }
  };
  compare("launches", after.launches - before.launches, 1);
  compare("wavefronts", after.wavefronts - before.wavefronts, k.wavefronts);
  compare("wavefronts at least", after.least_wavefronts - before.least_wavefronts,
          k.least_wavefronts);
  compare("sectors",
          after.sectors_read + after.sectors_written - before.sectors_read - before.sectors_written,
          k.sectors);
  compare("sectors at least", after.least_sectors - before.least_sectors, k.least_sectors);
  return wrong;
}

// Programs that move x to the host and back into y, with one bug each but the first.
struct Moving {
  const char* name;
  const char* fault;  // words of the message; "": none, and y is x
  void (*run)(Numbers& n, void* host);
};

void there(Numbers& n, void* host) {
  qlora_transfer t{host, n.x, kBytes, 1, 1};
  device_transfer(n.c, &t);
}

void back(Numbers& n, void* host) {
  qlora_transfer t{n.y, host, kBytes, 0, 2};
  device_transfer(n.c, &t);
}

// What another rank, at x, sends to y.
void come(Numbers& n, int event) {
  void *stream, *to;
  device_aside(n.c, n.y, kBytes, &stream, &to);
  device_fetch(n.c, n.c, to, n.x, kBytes);
  device_arriving(n.c, event);
}

// Kernels that read x and write y, or the other way.
void kernel(Numbers& n, bool over_x) {
  const Planted& right = *planted(0);
  void *from = over_x ? n.y : n.x, *to = over_x ? n.x : n.y;
  launch(n.c, right.name, right.kernel, dim3(1), dim3(kNumbers), kSharedBytes,
         static_cast<const float*>(from), static_cast<float*>(to));
}

const Moving moving[] = {
    {"moves there and back", "",
     [](Numbers& n, void* host) {
       there(n, host);
       back(n, host);
       device_await(n.c, 2);
       device_zero(n.c, n.x, kBytes);
     }},
    {"overwrites what leaves, by a kernel", "was written before the transfer was awaited",
     [](Numbers& n, void* host) {
       there(n, host);
       kernel(n, true);
       device_await(n.c, 1);
     }},
    {"overwrites what leaves, by zeros", "zeroing over the source of a transfer",
     [](Numbers& n, void* host) {
       there(n, host);
       device_zero(n.c, n.x, kBytes);
     }},
    {"awaits another event", "was written before the transfer was awaited",
     [](Numbers& n, void* host) {
       there(n, host);
       device_await(n.c, 3);
       kernel(n, true);
       device_await(n.c, 1);
     }},
    {"uses what has not come, by a kernel", "y is where a transfer from the host was not awaited",
     [](Numbers& n, void* host) {
       there(n, host);
       back(n, host);
       device_await(n.c, 1);
       kernel(n, true);
     }},
    {"uses what has not come, by a copy", "a copy where a transfer from the host",
     [](Numbers& n, void* host) {
       there(n, host);
       back(n, host);
       device_move(n.c, n.x, n.y, kBytes);
     }},
    {"fetches from another rank", "",
     [](Numbers& n, void*) {
       come(n, 1);
       device_zero(n.c, n.x, kBytes);
       device_await(n.c, 1);
     }},
    {"uses what another rank has not sent, by a kernel",
     "y is where what other ranks send was not awaited",
     [](Numbers& n, void*) {
       come(n, 1);
       device_await(n.c, 2);
       kernel(n, true);
     }},
    {"awaits what another rank sends after", "y is where what other ranks send was not awaited",
     [](Numbers& n, void*) {
       come(n, 2);
       device_await(n.c, 1);
       come(n, 1);
       kernel(n, true);
     }},
    {"uses what another rank has not sent, by a copy", "a copy where what other ranks send",
     [](Numbers& n, void* host) {
       come(n, 1);
       there(n, host);
       device_await(n.c, 2);
       device_move(n.c, n.x, n.y, kBytes);
     }},
    {"reads what has not come", "a read where a transfer from the host",
     [](Numbers& n, void* host) {
       there(n, host);
       back(n, host);
     }},
};

void check(const Moving& m) {
  qlora_context* c;
  std::string said;
  if (device_open(0, nullptr, &c) != QLORA_OK) {
    said = device_error(nullptr);
  } else {
    Numbers n(c);
    void* host = nullptr;
    device_allocate_host(c, kBytes, &host);
    m.run(n, host);
    float out[kNumbers];
    if (device_read(c, out, n.y, kBytes) != QLORA_OK) {
      said = device_error(c);
    } else if (*m.fault == 0 && std::memcmp(out, n.in, kBytes) != 0) {
      said = "y is not x";
    }
    device_release_host(c, host);
  }
  device_close(c);
  bool right = *m.fault == 0 ? said.empty() : said.find(m.fault) != std::string::npos;
  std::printf(right ? "ok %s\n" : "FAIL %s: said \"%s\"\n", m.name, said.c_str());
}

// Runs a kernel under several schedules, with copies that complete late and early.
template <class Kernel>
void check(const Kernel& k, const qlora_options& options) {
  std::string wrong;
  for (const char* eager : {"", "1"}) {
    setenv("QLORA_EMU_EAGER", eager, 1);
    qlora_context* c;
    if (device_open(0, &options, &c) != QLORA_OK) {
      wrong = device_error(nullptr);
      break;
    }
    for (uint64_t schedule = 0; schedule < 12 && wrong.empty(); schedule++) {
      device_schedule(c, schedule);
      wrong = run(c, k);
      if (!wrong.empty()) wrong = "schedule " + std::to_string(schedule) + ": " + wrong;
    }
    device_close(c);
  }
  std::printf(wrong.empty() ? "ok %s\n" : "FAIL %s: %s\n", k.name, wrong.c_str());
}

}  // namespace

int main() {
  qlora_options options{};
  for (int n = 0; const Planted* p = planted(n); n++) check(*p, options);
  for (const Moving& m : moving) check(m);
  options.counting = 1;
  for (int n = 0; const Counted* k = counted(n); n++) check(*k, options);
}
