// Clamps elements in place (OLMo's clip_qkv), and clears the gradient of clamped elements:
//
//   x = min(max(x, -limit), limit)      dx = 0 where |x| >= limit
//
// x and dx are BF16 [tokens, features], with contiguous rows. The limit is rounded to BF16 first,
// so that backward recognizes clamped elements; NaN stays. Each thread handles 8 elements, 16
// bytes. 4 bytes per element, 6 backward: memory-bound.
#include "kernels/elements.cuh"
#include "kernels/entries.h"
#include "runtime/launch.h"

namespace {

constexpr int kThreads = 256;

__device__ __forceinline__ float rounded(float limit) {
  return ptx::to_float(ptx::from_float<bf16>(limit));
}

__device__ __forceinline__ float limited(float x, float limit) {
  return x > limit ? limit : x < -limit ? -limit : x;
}

__device__ __forceinline__ float cleared(float dx, float x, float limit) {
  return fabsf(x) >= limit ? 0 : dx;
}

__global__ void __launch_bounds__(kThreads)
    clamp_forward(bf16* x, int64_t n, float given, bool wide) {
  const float limit = rounded(given);
  const int64_t i = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * kEight;
  if (wide && i + kEight <= n) {
    Eight v = load8(x + i);
#pragma unroll
    for (int j = 0; j < kEight; j++) v.x[j] = limited(v.x[j], limit);
    store8(x + i, v);
    return;
  }
#pragma unroll 1
  for (int64_t j = i; j < min(i + kEight, n); j++) {
    x[j] = ptx::from_float<bf16>(limited(ptx::to_float(x[j]), limit));
  }
}
REGISTER_KERNEL(clamp_forward, kThreads, 0);

__global__ void __launch_bounds__(kThreads)
    clamp_gradients(const bf16* x, bf16* dx, int64_t n, float given, bool wide) {
  const float limit = rounded(given);
  const int64_t i = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * kEight;
  if (wide && i + kEight <= n) {
    Eight v = load8(x + i), d = load8(dx + i);
#pragma unroll
    for (int j = 0; j < kEight; j++) d.x[j] = cleared(d.x[j], v.x[j], limit);
    store8(dx + i, d);
    return;
  }
#pragma unroll 1
  for (int64_t j = i; j < min(i + kEight, n); j++) {
    dx[j] = ptx::from_float<bf16>(cleared(ptx::to_float(dx[j]), ptx::to_float(x[j]), limit));
  }
}
REGISTER_KERNEL(clamp_gradients, kThreads, 0);

bool aligned(const qlora_tensor& t) { return reinterpret_cast<uintptr_t>(t.data) % 16 == 0; }

}  // namespace

int clamp(qlora_context* c, const qlora_clamp* op) {
  const int64_t n = op->x.rows * op->x.cols;
  if (n == 0) return QLORA_OK;
  if (op->x.stride != op->x.cols || (op->dx.data != nullptr && op->dx.stride != op->x.cols)) {
    return fail(c, QLORA_UNSUPPORTED, "clamp: the rows do not lie behind each other");
  }
  const dim3 grid(static_cast<uint32_t>(ceil_div(n, kThreads * kEight)));
  auto* x = static_cast<bf16*>(op->x.data);
  if (op->dx.data == nullptr) {
    return launch(c, "clamp_forward", clamp_forward, grid, dim3(kThreads), 0, x, n, op->limit,
                  aligned(op->x));
  }
  return launch(c, "clamp_gradients", clamp_gradients, grid, dim3(kThreads), 0, x,
                static_cast<bf16*>(op->dx.data), n, op->limit, aligned(op->x) && aligned(op->dx));
}
