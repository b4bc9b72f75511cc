// Counts of what a block's memory accesses would cost a GPU.
//
// A warp's lanes access memory together if they are at the same instruction for the same time since
// the warp last met: at a barrier, or in an operation of all its lanes. Lanes that skip an iteration
// of a loop are counted with the others' next one.
//
// Shared memory has 32 banks of 4 bytes; a wavefront serves one word of each. Accesses of 4 bytes or
// fewer are served for 32 lanes at a time, of 8 bytes for 16, of 16 bytes for 8. Device memory is
// moved in sectors of 32 bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "emu/races.h"

namespace emu {

// least_wavefronts and least_sectors are what the same bytes would take if they lay side by side.
struct Counts {
  int64_t shared_accesses = 0, wavefronts = 0, least_wavefronts = 0;
  int64_t global_accesses = 0, sectors_read = 0, sectors_written = 0, least_sectors = 0;
  void add(const Counts& more);
};

class Traffic {
 public:
  void start(int warps);
  // An access of a lane by the instruction at `place`.
  void shared(int warp, int lane, const void* place, uintptr_t address, size_t size);
  void global(int warp, int lane, const void* place, uintptr_t address, size_t size, Access kind);
  // An access of the lanes in mask at once.
  void shared(const uintptr_t (&addresses)[32], uint32_t mask, size_t size);
  // The warp has met.
  void meet(int warp);
  // Returns the counts since start, with all that is still open.
  Counts finish();

 private:
  // An instruction's accesses since the warp last met: those of the lanes' first time, second time
  // and so on.
  struct Request {
    uint32_t lanes = 0;
    uintptr_t addresses[32];
  };
  struct Instruction {
    uint32_t times[32] = {};  // of each lane
    size_t size = 0;          // of the largest access
    bool is_shared = false;
    Access kind = Access::read;
    std::vector<Request> requests;
  };
  using Instructions = std::unordered_map<const void*, Instruction>;

  void add(Instruction* i, int lane, uintptr_t address, size_t size);
  void count(const Instruction& i);

  std::vector<Instructions> warps_;
  Counts counts_;
};

}  // namespace emu
