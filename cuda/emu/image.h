// The library that the kernels are in: its constants may be read.
#pragma once

#include <cstddef>
#include <cstdint>

namespace emu {

bool is_image(uintptr_t address);

}  // namespace emu
