// Device memory on the emulator: the allocations, and the extents that the kernels of one operation
// may access.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "emu/races.h"

namespace emu {

// An extent of memory. A view of columns has the first `span` bytes of every `stride`, and of those
// the first `width` of every `period`. Stride 0 or period 0: all of them.
struct Extent {
  uintptr_t begin, end;
  std::string name;
  size_t stride = 0, span = 0, period = 0, width = 0;
};

// The memory of one context. It changes only between launches.
class Memory {
 public:
  ~Memory();
  // Returns zeroed pages with inaccessible guard pages on both sides, or nullptr if out of memory.
  void* allocate(size_t bytes);
  // Like allocate, for memory that kernels may always access.
  void* allocate_shared_by_all(size_t bytes);
  // Returns false for a pointer that allocate did not return.
  bool release(void* data);
  // Sets the extents that kernels may access; none: all allocations.
  void restrict_to(std::vector<Extent> extents);

  // Returns an extent that kernels are restricted to and that meets [address, address + size), or
  // nullptr.
  const Extent* restricted(uintptr_t address, size_t size) const;

  // Returns the extent that contains [address, address + size), or nullptr. `hint` caches the index
  // of the last one.
  const Extent* find(uintptr_t address, size_t size, size_t* hint) const;
  // Returns the extent at address or the nearest one before it, for a message, or nullptr.
  const Extent* nearest(uintptr_t address) const;

  // Records that a block of a launch accesses memory returned by find. Returns false if another
  // block of the same launch wrote it, or read memory that this one writes: blocks run in any
  // order, so that is a race. *other is then that block's number.
  bool touch(uintptr_t address, size_t size, Access kind, uint32_t launch, uint32_t block,
             uint32_t* other);

 private:
  const std::vector<Extent>& pieces() const { return extents_.empty() ? allocated_ : extents_; }
  // For two bytes: the blocks that last wrote and read them, each with its launch number in the
  // same word. Workers race on these words, which can miss a conflict but reports no false one: the
  // launch number rules out earlier launches.
  struct Touched {
    std::atomic<uint64_t> writer, reader;
  };
  std::vector<Extent> allocated_, extents_, always_;
  std::vector<Touched*> touched_;  // per allocation; pages are mapped on first use
};

}  // namespace emu
