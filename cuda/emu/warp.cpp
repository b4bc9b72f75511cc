#include "emu/warp.h"

#include <cstring>

#include "emu/block.h"

namespace emu {

namespace {

struct Ldmatrix {
  const void* row;
  int matrices;
  bool transposed;
  uint32_t result[4];
};

void run_ldmatrix(void* const* lanes, uint32_t) {
  uint16_t m[4][8][8];
  int matrices = static_cast<Ldmatrix*>(lanes[0])->matrices;
  uintptr_t rows[32];
  for (int l = 0; l < 8 * matrices; l++) {
    const void* row = static_cast<Ldmatrix*>(lanes[l])->row;
    rows[l] = reinterpret_cast<uintptr_t>(row);
    std::memcpy(m[l / 8][l % 8], row, 16);
  }
  current()->count_shared(rows, matrices == 4 ? 0xffffffff : (1u << 8 * matrices) - 1, 16);
  for (int l = 0; l < 32; l++) {
    auto* op = static_cast<Ldmatrix*>(lanes[l]);
    int row = l / 4, col = 2 * (l % 4);
    for (int i = 0; i < matrices; i++) {
      uint16_t low = op->transposed ? m[i][col][row] : m[i][row][col];
      uint16_t high = op->transposed ? m[i][col + 1][row] : m[i][row][col + 1];
      op->result[i] = low | static_cast<uint32_t>(high) << 16;
    }
  }
}

void ldmatrix(Ldmatrix* op, Place at) {
  // Each address is read by the lane that passes it; lanes beyond the matrices pass none.
  if (static_cast<int>(current()->thread().number % 32) < 8 * op->matrices) {
    current()->check_shared(op->row, 16, Access::read, "ldmatrix reads");
  }
  current()->meet(0xffffffff, "ldmatrix", op, run_ldmatrix, false, at);
}

struct Mma {
  float d[4];
  uint32_t a[4], b[2];
};

float low(uint32_t pair) { return __uint_as_float(pair << 16); }
float high(uint32_t pair) { return __uint_as_float(pair & 0xffff0000u); }

void run_mma(void* const* lanes, uint32_t) {
  float a[16][16], b[16][8], d[16][8];
  for (int l = 0; l < 32; l++) {
    const auto* op = static_cast<const Mma*>(lanes[l]);
    int g = l / 4, t = l % 4;
    for (int i = 0; i < 4; i++) {
      float* to = &a[g + 8 * (i % 2)][2 * t + 8 * (i / 2)];
      to[0] = low(op->a[i]);
      to[1] = high(op->a[i]);
      d[g + 8 * (i / 2)][2 * t + i % 2] = op->d[i];
    }
    for (int i = 0; i < 2; i++) {
      b[2 * t + 8 * i][g] = low(op->b[i]);
      b[2 * t + 8 * i + 1][g] = high(op->b[i]);
    }
  }
  for (int row = 0; row < 16; row++) {
    for (int k = 0; k < 16; k++) {
      for (int col = 0; col < 8; col++) d[row][col] += a[row][k] * b[k][col];
    }
  }
  for (int l = 0; l < 32; l++) {
    auto* op = static_cast<Mma*>(lanes[l]);
    for (int i = 0; i < 4; i++) op->d[i] = d[l / 4 + 8 * (i / 2)][2 * (l % 4) + i % 2];
  }
}

}  // namespace

Words4 ldmatrix4(const void* row, bool transposed, Place at) {
  Ldmatrix op{row, 4, transposed, {}};
  ldmatrix(&op, at);
  return {{op.result[0], op.result[1], op.result[2], op.result[3]}};
}

Words2 ldmatrix2(const void* row, bool transposed, Place at) {
  Ldmatrix op{row, 2, transposed, {}};
  ldmatrix(&op, at);
  return {{op.result[0], op.result[1]}};
}

Floats4 mma(float d0, float d1, float d2, float d3, uint32_t a0, uint32_t a1, uint32_t a2,
            uint32_t a3, uint32_t b0, uint32_t b1, Place at) {
  Mma op{{d0, d1, d2, d3}, {a0, a1, a2, a3}, {b0, b1}};
  current()->meet(0xffffffff, "mma", &op, run_mma, false, at);
  return {{op.d[0], op.d[1], op.d[2], op.d[3]}};
}

}  // namespace emu
