// Loads and stores of a given width, checked as one access, and copies in the background.
#pragma once

#include <cstdint>

#include "emu/device.h"

namespace emu {

uint4 load128(const void* from);
uint2 load64(const void* from);
uint32_t load32(const void* from);
void store128(void* to, uint4 x);
void store64(void* to, uint2 x);
void store32(void* to, uint32_t x);

// cp.async. The destination is poison until the thread has waited for its group.
void copy_async(void* shared, const void* from, int size, int bytes);
void async_commit();
void async_wait(int pending);

}  // namespace emu
