#include "emu/transfers.h"

#include <cstring>
#include <utility>

namespace emu {

namespace {

constexpr int kPoison = 0xff;  // NaN in every type of floats

bool meet(const void* a, size_t n, const void* b, size_t m) {
  const auto x = reinterpret_cast<uintptr_t>(a), y = reinterpret_cast<uintptr_t>(b);
  return x < y + m && y < x + n;
}

}  // namespace

void Transfers::enqueue(void* dst, const void* src, size_t bytes, bool to_host, int event) {
  Copy c{static_cast<char*>(dst), static_cast<const char*>(src), bytes, to_host, event, {}};
  if (to_host) {
    c.source.assign(c.src, bytes);
  } else {
    // Copies are in order: one that leaves from here is done before this one comes.
    size_t before = queue_.size();
    while (before > 0 && !meet(dst, bytes, queue_[before - 1].src, queue_[before - 1].bytes))
      before--;
    carry_out(before);
    std::memset(dst, kPoison, bytes);
  }
  queue_.push_back(std::move(c));
}

void Transfers::arrive(void* dst, std::string bytes, int event) {
  std::memset(dst, kPoison, bytes.size());
  const size_t n = bytes.size();
  queue_.push_back({static_cast<char*>(dst), nullptr, n, false, event, std::move(bytes)});
}

std::string Transfers::await(int event) {
  size_t done = queue_.size();
  while (done > 0 && queue_[done - 1].event != event) done--;
  carry_out(done);
  std::string wrong;
  wrong.swap(wrong_);
  return wrong;
}

void Transfers::carry_out(size_t copies) {
  for (size_t i = 0; i < copies; i++) {
    const Copy& c = queue_[i];
    if (c.to_host && std::memcmp(c.src, c.source.data(), c.bytes) != 0) {
      wrong_ = "the source of a transfer to the host was written before the transfer was awaited";
    }
    std::memcpy(c.dst, c.src != nullptr ? c.src : c.source.data(), c.bytes);
  }
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(copies));
}

std::string Transfers::conflict(const void* data, size_t bytes, bool writes) const {
  for (const Copy& c : queue_) {
    if (!c.to_host && meet(data, bytes, c.dst, c.bytes)) {
      return "where " + what_ + " was not awaited";
    }
    if (c.to_host && writes && meet(data, bytes, c.src, c.bytes)) {
      return "over the source of a transfer to the host that was not awaited";
    }
  }
  return "";
}

std::string Transfers::conflict(const Memory& memory) const {
  for (const Copy& c : queue_) {
    if (c.to_host) continue;  // await sees what was written
    if (const Extent* e = memory.restricted(reinterpret_cast<uintptr_t>(c.dst), c.bytes)) {
      return e->name + " is where " + what_ + " was not awaited";
    }
  }
  return "";
}

}  // namespace emu
