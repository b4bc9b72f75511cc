// The library that contains the kernels; they may read its constants.
#pragma once

#include <cstddef>
#include <cstdint>

namespace emu {

bool is_image(uintptr_t address);

}  // namespace emu
