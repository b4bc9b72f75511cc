// The warp-wide operations of ptx.cuh. Operands and results are passed by value, so that a kernel's
// variables never have their address taken.
#pragma once

#include <cstdint>

#include "emu/device.h"

namespace emu {

struct Words4 {
  uint32_t x[4];
};
struct Words2 {
  uint32_t x[2];
};
struct Floats4 {
  float x[4];
};

Words4 ldmatrix4(const void* row, bool transposed, Place at);
Words2 ldmatrix2(const void* row, bool transposed, Place at);
Floats4 mma(float d0, float d1, float d2, float d3, uint32_t a0, uint32_t a1, uint32_t a2,
            uint32_t a3, uint32_t b0, uint32_t b1, Place at);

}  // namespace emu
