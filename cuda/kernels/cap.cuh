// The soft cap on scores and logits (Gemma 2): cap·tanh(x/cap).
#pragma once

#include "ptx/ptx.cuh"

struct Capped {
  float value, slope;  // of the cap at x
};

// tanh within 2^-22, and to full relative precision for small x: below 0.1 by its series, because
// the difference of 1 and an exponential would cancel.
__device__ __forceinline__ float tanh_of(float x) {
  float square = x * x;
  float series = x * (1 + square * (-0.33333333f + square * (0.13333333f - square * 0.05396825f)));
  float e = ptx::exp2(2.8853900817779268f * x);  // e^2x
  return square < 0.01f ? series : 1 - 2 * ptx::reciprocal(1 + e);
}

// cap 0: x itself.
__device__ __forceinline__ Capped capped(float x, float cap) {
  if (cap == 0) return {x, 1};
  float t = tanh_of(x / cap);
  return {cap * t, 1 - t * t};
}
