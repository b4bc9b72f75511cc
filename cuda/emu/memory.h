// Device memory on the emulator: what is allocated, and what of it the kernels of one operation
// may touch.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "emu/races.h"

namespace emu {

// A piece of memory. Of a view of columns, the first `span` bytes of every `stride` are its own,
// and of those the first `width` of every `period`; stride 0, or period 0: all of them are.
struct Extent {
  uintptr_t begin, end;
  std::string name;
  size_t stride = 0, span = 0, period = 0, width = 0;
};

// Memory is one context's. It is changed between launches only.
class Memory {
 public:
  ~Memory();
  // Zeroed pages with an inaccessible one on both sides; nullptr where there are none.
  void* allocate(size_t bytes);
  // Like allocate, for what kernels may always touch.
  void* allocate_shared_by_all(size_t bytes);
  // False for what allocate did not give.
  bool release(void* data);
  // The pieces that kernels may touch; none: all that is allocated.
  void restrict_to(std::vector<Extent> extents);

  // The piece that holds [address, address + size), or nullptr. `hint` is a place for the number
  // of the last one.
  const Extent* find(uintptr_t address, size_t size, size_t* hint) const;
  // The piece that address lies in or is nearest behind, for a message, or nullptr.
  const Extent* nearest(uintptr_t address) const;

  // Records that a block of a launch touches memory that find gave. False where another block of
  // the same launch wrote it, or reads what this one writes: blocks run in any order, so that is a
  // race; *other is then that block's number.
  bool touch(uintptr_t address, size_t size, Access kind, uint32_t launch, uint32_t block,
             uint32_t* other);

 private:
  const std::vector<Extent>& pieces() const { return extents_.empty() ? allocated_ : extents_; }
  // Of two bytes: the block that last wrote and the one that last read them, with the number of
  // its launch in the same word. Workers race on them, which can miss a conflict and makes up none:
  // what an earlier launch left is never taken for this one's.
  struct Touched {
    std::atomic<uint64_t> writer, reader;
  };
  std::vector<Extent> allocated_, extents_, always_;
  std::vector<Touched*> touched_;  // of each allocation; pages appear when they are used
};

}  // namespace emu
