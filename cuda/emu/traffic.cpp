#include "emu/traffic.h"

#include <algorithm>

namespace emu {

namespace {

constexpr int kBanks = 32, kWordBytes = 4, kSectorBytes = 32;

// Sorts numbers and returns how many different ones there are.
int distinct(uintptr_t* numbers, int n) {
  std::sort(numbers, numbers + n);
  return static_cast<int>(std::unique(numbers, numbers + n) - numbers);
}

}  // namespace

void Counts::add(const Counts& more) {
  shared_accesses += more.shared_accesses;
  wavefronts += more.wavefronts;
  least_wavefronts += more.least_wavefronts;
  global_accesses += more.global_accesses;
  sectors_read += more.sectors_read;
  sectors_written += more.sectors_written;
  least_sectors += more.least_sectors;
}

void Traffic::start(int warps) {
  warps_.assign(warps, {});
  counts_ = {};
}

void Traffic::add(Instruction* i, int lane, uintptr_t address, size_t size) {
  uint32_t time = i->times[lane]++;
  if (i->requests.size() <= time) i->requests.resize(time + 1);
  Request& r = i->requests[time];
  r.addresses[lane] = address;
  r.lanes |= 1u << lane;
  i->size = std::max(i->size, size);
}

void Traffic::shared(int warp, int lane, const void* place, uintptr_t address, size_t size) {
  Instruction& i = warps_[warp][place];
  i.is_shared = true;
  add(&i, lane, address, size);
}

void Traffic::global(int warp, int lane, const void* place, uintptr_t address, size_t size,
                     Access kind) {
  // A copy of cp.async is of both kinds of memory: its two halves have two places.
  const void* half = static_cast<const char*>(place) + 1;
  Instruction& i = warps_[warp][half];
  i.kind = kind;
  add(&i, lane, address, size);
}

void Traffic::shared(const uintptr_t (&addresses)[32], uint32_t mask, size_t size) {
  counts_.shared_accesses++;
  int together = size <= 4 ? 32 : static_cast<int>(128 / size);
  for (int first = 0; first < 32; first += together) {
    uintptr_t words[32];
    int n = 0;
    for (int l = first; l < first + together; l++) {
      if ((mask >> l & 1) == 0) continue;
      for (size_t b = 0; b < std::max<size_t>(size, kWordBytes); b += kWordBytes) {
        words[n++] = (addresses[l] + b) / kWordBytes;
      }
    }
    n = distinct(words, n);
    int in_bank[kBanks] = {};
    for (int w = 0; w < n; w++) in_bank[words[w] % kBanks]++;
    counts_.wavefronts += *std::max_element(in_bank, in_bank + kBanks);
    counts_.least_wavefronts += (n + kBanks - 1) / kBanks;
  }
}

void Traffic::count(const Instruction& i) {
  for (const Request& r : i.requests) {
    if (i.is_shared) {
      shared(r.addresses, r.lanes, i.size);
      continue;
    }
    uintptr_t addresses[32], numbers[32];
    int n = 0;
    for (int l = 0; l < 32; l++) {
      if ((r.lanes >> l & 1) == 0) continue;
      addresses[n] = r.addresses[l];
      numbers[n++] = r.addresses[l] / kSectorBytes;
    }
    size_t bytes = distinct(addresses, n) * i.size;
    int sectors = distinct(numbers, n);
    counts_.global_accesses++;
    (i.kind == Access::read ? counts_.sectors_read : counts_.sectors_written) += sectors;
    counts_.least_sectors += (bytes + kSectorBytes - 1) / kSectorBytes;
  }
}

void Traffic::meet(int warp) {
  for (const auto& [place, instruction] : warps_[warp]) count(instruction);
  warps_[warp].clear();
}

Counts Traffic::finish() {
  for (size_t w = 0; w < warps_.size(); w++) meet(static_cast<int>(w));
  return counts_;
}

}  // namespace emu
