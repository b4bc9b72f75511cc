// The activations of an MLP and their gradients, of one element.
#pragma once

#include "include/qlora.h"
#include "kernels/elements.cuh"

namespace activations {

constexpr float kLog2E = 1.4426950408889634f;

__device__ __forceinline__ float sigmoid(float x) {
  return ptx::reciprocal(1 + ptx::exp2(-kLog2E * x));
}

// f(x) and f'(x).
struct Value {
  float f, slope;
};

template <int kKind>
__device__ __forceinline__ Value activation(float x) {
  if constexpr (kKind == QLORA_SILU) {
    float s = sigmoid(x);
    return {x * s, s * (1 + x * (1 - s))};
  } else if constexpr (kKind == QLORA_GELU) {
    float below = 0.5f * (1 + erff(0.7071067811865476f * x));
    float density = 0.3989422804014327f * ptx::exp2(-0.5f * kLog2E * x * x);
    return {x * below, below + x * density};
  } else if constexpr (kKind == QLORA_GELU_TANH) {
    // (1 + tanh(t))/2 is sigmoid(2t), with t = sqrt(2/pi)·(x + 0.044715·x³).
    constexpr float kTwice = 1.5957691216057308f;
    float square = 0.044715f * x * x, s = sigmoid(kTwice * x * (1 + square));
    return {x * s, s * (1 + x * (1 - s) * kTwice * (1 + 3 * square))};
  } else if constexpr (kKind == QLORA_RELU) {
    return {x < 0 ? 0 : x, x > 0 ? 1.0f : 0.0f};
  } else {
    float r = x < 0 ? 0 : x;
    return {r * r, 2 * r};
  }
}

struct Gradients {
  float dg, du, y;
};

// Returns the gradients of an element and y; u is 1 if absent.
template <int kKind>
__device__ __forceinline__ Gradients gradients(float g, float u, float dy) {
  Value v = activation<kKind>(g);
  return {dy * u * v.slope, dy * v.f, v.f * u};
}

}  // namespace activations
