// A fiber: its own stack, and a switch that saves the callee-saved registers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace emu {

// The stack size of a fiber in bytes. Kernels have shallow calls.
constexpr size_t kStackBytes = 64 << 10;

// Prepares a stack of `bytes` bytes, a multiple of 16, on which the first switch calls entry.
// Returns the context for switch_to.
void* new_fiber(char* stack, size_t bytes, void (*entry)());

// Saves this context in *from and resumes `to`.
void switch_to(void** from, void* to);

}  // namespace emu
