// A fiber: a stack of its own, and a switch that saves what a call must keep.
#pragma once

#include <cstddef>
#include <cstdint>

namespace emu {

// The bytes of one fiber's stack. Kernels call nothing deep.
constexpr size_t kStackBytes = 64 << 10;

// Prepares a stack of `bytes` bytes, a multiple of 16, on which the first switch calls entry, and
// gives what switch_to takes.
void* new_fiber(char* stack, size_t bytes, void (*entry)());

// Saves this context in *from and goes on in the one that `to` was saved as.
void switch_to(void** from, void* to);

}  // namespace emu
