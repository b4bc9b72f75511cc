#include "emu/memory.h"

#include <sys/mman.h>
#include <unistd.h>

namespace emu {

namespace {
size_t page() {
  static const size_t bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}
size_t whole_pages(size_t bytes) { return (bytes + page() - 1) / page() * page(); }
size_t length(const Extent& e) { return e.end - e.begin; }

// Reports whether [address, address + size) belongs to e.
bool holds(const Extent& e, uintptr_t address, size_t size) {
  if (address < e.begin || address + size > e.end) return false;
  if (e.stride == 0) return true;
  size_t in_row = (address - e.begin) % e.stride;
  if (in_row + size > e.span) return false;
  return e.period == 0 || in_row % e.period + size <= e.width;
}
}  // namespace

Memory::~Memory() {
  while (!allocated_.empty()) release(reinterpret_cast<void*>(allocated_.back().begin));
}

void* Memory::allocate(size_t bytes) {
  size_t inside = whole_pages(bytes == 0 ? 1 : bytes), all = inside + 2 * page();
  void* p = mmap(nullptr, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return nullptr;
  char* data = static_cast<char*>(p) + page();
  if (mprotect(data, inside, PROT_READ | PROT_WRITE) != 0) {
    munmap(p, all);
    return nullptr;
  }
  void* touched = mmap(nullptr, (inside / 2) * sizeof(Touched), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (touched == MAP_FAILED) {
    munmap(p, all);
    return nullptr;
  }
  touched_.push_back(static_cast<Touched*>(touched));
  auto begin = reinterpret_cast<uintptr_t>(data);
  Extent all_of_it;
  all_of_it.begin = begin;
  all_of_it.end = begin + bytes;
  all_of_it.name = "allocation " + std::to_string(allocated_.size());
  allocated_.push_back(std::move(all_of_it));
  return data;
}

void* Memory::allocate_shared_by_all(size_t bytes) {
  void* data = allocate(bytes);
  if (data != nullptr) always_.push_back(allocated_.back());
  return data;
}

void Memory::restrict_to(std::vector<Extent> extents) {
  extents_ = std::move(extents);
  if (!extents_.empty()) extents_.insert(extents_.end(), always_.begin(), always_.end());
}

const Extent* Memory::restricted(uintptr_t address, size_t size) const {
  for (const Extent& e : extents_) {
    if (e.begin < address + size && address < e.end) return &e;
  }
  return nullptr;
}

bool Memory::release(void* data) {
  for (size_t i = 0; i < allocated_.size(); i++) {
    const Extent& e = allocated_[i];
    if (e.begin != reinterpret_cast<uintptr_t>(data)) continue;
    size_t inside = whole_pages(length(e) == 0 ? 1 : length(e));
    munmap(static_cast<char*>(data) - page(), inside + 2 * page());
    munmap(touched_[i], (inside / 2) * sizeof(Touched));
    touched_.erase(touched_.begin() + static_cast<ptrdiff_t>(i));
    allocated_.erase(allocated_.begin() + static_cast<ptrdiff_t>(i));
    return true;
  }
  return false;
}

const Extent* Memory::find(uintptr_t address, size_t size, size_t* hint) const {
  const auto& all = pieces();
  if (*hint < all.size() && holds(all[*hint], address, size)) return &all[*hint];
  for (size_t i = 0; i < all.size(); i++) {
    if (holds(all[i], address, size)) {
      *hint = i;
      return &all[i];
    }
  }
  return nullptr;
}

bool Memory::touch(uintptr_t address, size_t size, Access kind, uint32_t launch, uint32_t block,
                   uint32_t* other) {
  for (size_t i = 0; i < allocated_.size(); i++) {
    const Extent& e = allocated_[i];
    if (address < e.begin || address >= e.end) continue;
    // Single bytes share a cell with a neighbor that another block may own.
    if (size == 1) return true;
    constexpr auto relaxed = std::memory_order_relaxed;
    uint64_t me = uint64_t{launch} << 32 | block;
    auto conflicts = [&](const std::atomic<uint64_t>& of) {
      uint64_t who = of.load(relaxed);
      *other = static_cast<uint32_t>(who);
      return who != me && who >> 32 == launch;
    };
    Touched* t = touched_[i] + (address - e.begin) / 2;
    for (size_t n = (size + 1) / 2; n > 0; n--, t++) {
      if (conflicts(t->writer)) return false;
      if (kind == Access::read) {
        t->reader.store(me, relaxed);
        continue;
      }
      if (conflicts(t->reader)) return false;
      t->writer.store(me, relaxed);
    }
    return true;
  }
  return true;
}

const Extent* Memory::nearest(uintptr_t address) const {
  const Extent* best = nullptr;
  for (const Extent& e : pieces()) {
    if (e.begin <= address && (best == nullptr || e.begin > best->begin)) best = &e;
  }
  return best;
}

}  // namespace emu
