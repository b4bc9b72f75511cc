// Device memory on the emulator: what is allocated, and what of it the kernels of one operation
// may touch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace emu {

struct Extent {
  uintptr_t begin, end;
  std::string name;
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

 private:
  const std::vector<Extent>& pieces() const { return extents_.empty() ? allocated_ : extents_; }
  std::vector<Extent> allocated_, extents_, always_;
};

}  // namespace emu
