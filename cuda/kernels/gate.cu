// The gated activation of an MLP (Shazeer 2020), element by element:
//
//   y = silu(g)·u          dg = dy·u·silu'(g)    du = dy·silu(g)
//
// g, u, y and their gradients are BF16 [tokens, intermediate]; dg may be g or dy, du may be u.
// Forward moves 6 bytes an element, backward 10, and computes next to nothing: the floor is the
// memory's. A thread takes 8 elements, 16 bytes of each operand.
#include "kernels/entries.h"
#include "runtime/launch.h"

namespace {

constexpr int kThreads = 256;
constexpr int kVector = 8;  // elements of 16 bytes

__device__ __forceinline__ float sigmoid(float x) {
  return ptx::reciprocal(1 + ptx::exp2(-1.4426950408889634f * x));
}

__device__ uint32_t gated(uint32_t g, uint32_t u) {
  float a = ptx::low(g), b = ptx::high(g);
  return ptx::pack(a * sigmoid(a) * ptx::low(u), b * sigmoid(b) * ptx::high(u));
}

__global__ void __launch_bounds__(kThreads)
    gate_forward(const bf16* g, const bf16* u, bf16* y, int64_t n) {
  int64_t i = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * kVector;
  if (i + kVector <= n) {
    uint4 a = ptx::load128(g + i), b = ptx::load128(u + i);
    ptx::store128(y + i,
                  make_uint4(gated(a.x, b.x), gated(a.y, b.y), gated(a.z, b.z), gated(a.w, b.w)));
    return;
  }
  for (; i < n; i++) {
    float x = ptx::to_float(g[i]);
    y[i] = ptx::from_float<bf16>(x * sigmoid(x) * ptx::to_float(u[i]));
  }
}
REGISTER_KERNEL(gate_forward, kThreads, 0);

// What the gate gives of one element's gradient: dg and du.
__device__ __forceinline__ float2 gradients(float g, float u, float dy) {
  float s = sigmoid(g);
  return make_float2(dy * u * s * (1 + g * (1 - s)), dy * g * s);
}

// Two elements: their dg and their du.
__device__ __forceinline__ uint2 gradients(uint32_t g, uint32_t u, uint32_t dy) {
  float2 a = gradients(ptx::low(g), ptx::low(u), ptx::low(dy));
  float2 b = gradients(ptx::high(g), ptx::high(u), ptx::high(dy));
  return make_uint2(ptx::pack(a.x, b.x), ptx::pack(a.y, b.y));
}

// All of an element is read before it is written.
__global__ void __launch_bounds__(kThreads)
    gate_gradients(const bf16* g, const bf16* u, const bf16* dy, bf16* dg, bf16* du, int64_t n) {
  int64_t i = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * kVector;
  if (i + kVector <= n) {
    uint4 a = ptx::load128(g + i), b = ptx::load128(u + i), d = ptx::load128(dy + i);
    uint2 x = gradients(a.x, b.x, d.x), y = gradients(a.y, b.y, d.y);
    uint2 z = gradients(a.z, b.z, d.z), w = gradients(a.w, b.w, d.w);
    ptx::store128(dg + i, make_uint4(x.x, y.x, z.x, w.x));
    ptx::store128(du + i, make_uint4(x.y, y.y, z.y, w.y));
    return;
  }
  for (; i < n; i++) {
    float2 d = gradients(ptx::to_float(g[i]), ptx::to_float(u[i]), ptx::to_float(dy[i]));
    dg[i] = ptx::from_float<bf16>(d.x);
    du[i] = ptx::from_float<bf16>(d.y);
  }
}
REGISTER_KERNEL(gate_gradients, kThreads, 0);

dim3 grid_of(int64_t n) {
  return dim3(static_cast<uint32_t>((n + kThreads * kVector - 1) / (kThreads * kVector)));
}

}  // namespace

int gate(qlora_context* c, const qlora_gate* op) {
  int64_t n = op->y.rows * op->y.cols;
  if (n == 0) return QLORA_OK;
  return launch(c, "gate_forward", gate_forward, grid_of(n), dim3(kThreads), 0,
                static_cast<const bf16*>(op->g.data), static_cast<const bf16*>(op->u.data),
                static_cast<bf16*>(op->y.data), n);
}

int gate_backward(qlora_context* c, const qlora_gate_backward* op) {
  int64_t n = op->dy.rows * op->dy.cols;
  if (n == 0) return QLORA_OK;
  return launch(c, "gate_gradients", gate_gradients, grid_of(n), dim3(kThreads), 0,
                static_cast<const bf16*>(op->g.data), static_cast<const bf16*>(op->u.data),
                static_cast<const bf16*>(op->dy.data), static_cast<bf16*>(op->dg.data),
                static_cast<bf16*>(op->du.data), n);
}
