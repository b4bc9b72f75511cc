// The activation of an MLP, plain or gated (Shazeer 2020), element by element:
//
//   y = f(g)        dg = dy·f'(g)
//   y = f(g)·u      dg = dy·u·f'(g)    du = dy·f(g)
//
// where f is SiLU, GELU by erf or by tanh (Hendrycks & Gimpel 2016), ReLU or its square. All are
// BF16 [tokens, intermediate]; g, u, dg and du may be views of columns, such as the halves of one
// fused projection. dg may be g or dy, du may be u: each element is read before it is written.
// Backward can write y again, over dy if wanted: g and u are then read once for both.
//
// Each thread handles 8 elements, 16 bytes of each operand; for rows that are not aligned to 16
// bytes, 8 one by one. Contiguous rows are processed as one. Forward moves 4 bytes per element, or
// 6 gated, backward 6 or 10, and 2 more for y. The most computation is erf and two exponentials, some 40 operations,
// of the 100 that an H100 SM does in that time: memory-bound. Gated SiLU and GELU by tanh are also
// epilogues: of the products that compute g and u (gemm_gated.cuh), and backward of dy's
// (gemm_epilogue.cuh).
#include "kernels/activate.cuh"
#include "kernels/entries.h"
#include "runtime/launch.h"

namespace {

using namespace activations;

constexpr int kThreads = 256;
// The layout of rows: consecutive, each split into `blocks` blocks of kThreads units of 8. Column
// indices have 32 bits: with a 64-bit offset the compiler splits 16-byte stores.
struct Shape {
  int64_t rows, g_stride, u_stride, dense_stride, dg_stride, du_stride;  // dense: y or dy
  int cols, last_cols;  // of each row, and of the last one
  uint32_t blocks;
  bool wide;

  __device__ __forceinline__ int64_t row() const { return blockIdx.x / blocks; }
  __device__ __forceinline__ int col() const {
    return static_cast<int>((blockIdx.x % blocks * kThreads + threadIdx.x) * kEight);
  }
  __device__ __forceinline__ int end(int64_t row) const {
    return row + 1 == rows ? last_cols : cols;
  }
};

template <int kKind, bool kGated>
__global__ void __launch_bounds__(kThreads)
    activate_forward(const bf16* g, const bf16* u, bf16* y, Shape s) {
  const int64_t row = s.row();
  const int col = s.col(), end = s.end(row);
  g += row * s.g_stride;
  u += row * s.u_stride;
  y += row * s.dense_stride;
  if (s.wide && col + kEight <= end) {
    Eight v = load8(g + col), w = {};
    if constexpr (kGated) w = load8(u + col);
#pragma unroll
    for (int i = 0; i < kEight; i++) {
      v.x[i] = activation<kKind>(v.x[i]).f;
      if constexpr (kGated) v.x[i] *= w.x[i];
    }
    store8(y + col, v);
    return;
  }
#pragma unroll 1
  for (int j = col; j < min(col + kEight, end); j++) {
    float v = activation<kKind>(ptx::to_float(g[j])).f;
    if constexpr (kGated) v *= ptx::to_float(u[j]);
    y[j] = ptx::from_float<bf16>(v);
  }
}

template <int kKind, bool kGated>
__global__ void __launch_bounds__(kThreads)
    activate_gradients(const bf16* g, const bf16* u, const bf16* dy, bf16* dg, bf16* du, bf16* y,
                       Shape s) {
  const int64_t row = s.row();
  const int col = s.col(), end = s.end(row);
  g += row * s.g_stride;
  u += row * s.u_stride;
  dy += row * s.dense_stride;
  dg += row * s.dg_stride;
  du += row * s.du_stride;
  const bool again = y != nullptr;
  if (again) y += row * s.dense_stride;
  if (s.wide && col + kEight <= end) {
    Eight a = load8(g + col), d = load8(dy + col), b = {{1, 1, 1, 1, 1, 1, 1, 1}};
    if constexpr (kGated) b = load8(u + col);
#pragma unroll
    for (int i = 0; i < kEight; i++) {
      const Gradients all = gradients<kKind>(a.x[i], b.x[i], d.x[i]);
      a.x[i] = all.dg;
      b.x[i] = all.du;
      d.x[i] = all.y;
    }
    if (again) store8(y + col, d);
    store8(dg + col, a);
    if constexpr (kGated) store8(du + col, b);
    return;
  }
#pragma unroll 1
  for (int j = col; j < min(col + kEight, end); j++) {
    float b = 1;
    if constexpr (kGated) b = ptx::to_float(u[j]);
    const Gradients all = gradients<kKind>(ptx::to_float(g[j]), b, ptx::to_float(dy[j]));
    if (again) y[j] = ptx::from_float<bf16>(all.y);
    dg[j] = ptx::from_float<bf16>(all.dg);
    if constexpr (kGated) du[j] = ptx::from_float<bf16>(all.du);
  }
}

struct Instance {
  const char *forward_name, *backward_name;
  void (*forward)(const bf16*, const bf16*, bf16*, Shape);
  void (*backward)(const bf16*, const bf16*, const bf16*, bf16*, bf16*, bf16*, Shape);
};

#define ACTIVATION(kind, suffix, gated)                                              \
  {"activate_" #suffix, "activate_backward_" #suffix, activate_forward<kind, gated>, \
   activate_gradients<kind, gated>}
#define REGISTER_ACTIVATION(kind, suffix, gated)                                    \
  REGISTER_INSTANCE(activate_##suffix, kThreads, 0, activate_forward<kind, gated>); \
  REGISTER_INSTANCE(activate_backward_##suffix, kThreads, 0, activate_gradients<kind, gated>)

// By kind, plain and gated.
const Instance kInstances[QLORA_ACTIVATIONS][2] = {
    {ACTIVATION(QLORA_SILU, silu, false), ACTIVATION(QLORA_SILU, silu_gated, true)},
    {ACTIVATION(QLORA_GELU, gelu, false), ACTIVATION(QLORA_GELU, gelu_gated, true)},
    {ACTIVATION(QLORA_GELU_TANH, gelu_tanh, false),
     ACTIVATION(QLORA_GELU_TANH, gelu_tanh_gated, true)},
    {ACTIVATION(QLORA_RELU, relu, false), ACTIVATION(QLORA_RELU, relu_gated, true)},
    {ACTIVATION(QLORA_RELU2, relu2, false), ACTIVATION(QLORA_RELU2, relu2_gated, true)},
};
REGISTER_ACTIVATION(QLORA_SILU, silu, false);
REGISTER_ACTIVATION(QLORA_SILU, silu_gated, true);
REGISTER_ACTIVATION(QLORA_GELU, gelu, false);
REGISTER_ACTIVATION(QLORA_GELU, gelu_gated, true);
REGISTER_ACTIVATION(QLORA_GELU_TANH, gelu_tanh, false);
REGISTER_ACTIVATION(QLORA_GELU_TANH, gelu_tanh_gated, true);
REGISTER_ACTIVATION(QLORA_RELU, relu, false);
REGISTER_ACTIVATION(QLORA_RELU, relu_gated, true);
REGISTER_ACTIVATION(QLORA_RELU2, relu2, false);
REGISTER_ACTIVATION(QLORA_RELU2, relu2_gated, true);

int check(qlora_context* c, const char* name, int32_t kind) {
  if (kind >= 0 && kind < QLORA_ACTIVATIONS) return QLORA_OK;
  return fail(c, QLORA_UNSUPPORTED, "%s: of kind %d", name, kind);
}

// Returns the layout of all operands' rows. If all operands are contiguous, they are split again
// into rows of one block. Absent operands are ignored.
Shape shape_of(const qlora_tensor& dense, const qlora_tensor& g, const qlora_tensor& u,
               const qlora_tensor& dg, const qlora_tensor& du, const qlora_tensor& again) {
  constexpr int kBlock = kThreads * kEight;
  const qlora_tensor* operands[] = {&dense, &g, &u, &dg, &du, &again};
  bool flat = true, wide = true;
  for (const qlora_tensor* t : operands) {
    flat = flat && (t->data == nullptr || t->stride == t->cols);
  }
  for (const qlora_tensor* t : operands) {
    wide =
        wide && reinterpret_cast<uintptr_t>(t->data) % 16 == 0 && (flat || t->stride % kEight == 0);
  }
  if (flat) {
    const int64_t n = dense.rows * dense.cols, rows = ceil_div(n, kBlock);
    const auto last = static_cast<int>(n - (rows - 1) * kBlock);
    return {rows, kBlock, kBlock, kBlock, kBlock, kBlock, kBlock, last, 1, wide};
  }
  const auto cols = static_cast<int>(dense.cols);
  return {dense.rows,   g.stride,  u.stride,
          dense.stride, dg.stride, du.stride,
          cols,         cols,      static_cast<uint32_t>(ceil_div(cols, kBlock)),
          wide};
}

dim3 grid_of(const Shape& s) { return dim3(static_cast<uint32_t>(s.rows * s.blocks)); }

}  // namespace

int activate(qlora_context* c, const qlora_activate* op) {
  int status = check(c, "activate", op->kind);
  if (status != QLORA_OK || op->y.rows * op->y.cols == 0) return status;
  Shape s = shape_of(op->y, op->g, op->u, {}, {}, {});
  const Instance& i = kInstances[op->kind][op->u.data != nullptr];
  return launch(c, i.forward_name, i.forward, grid_of(s), dim3(kThreads), 0,
                static_cast<const bf16*>(op->g.data), static_cast<const bf16*>(op->u.data),
                static_cast<bf16*>(op->y.data), s);
}

int activate_backward(qlora_context* c, const qlora_activate_backward* op) {
  int status = check(c, "activate_backward", op->kind);
  if (status != QLORA_OK || op->dy.rows * op->dy.cols == 0) return status;
  Shape s = shape_of(op->dy, op->g, op->u, op->dg, op->du, op->y);
  const Instance& i = kInstances[op->kind][op->u.data != nullptr];
  return launch(c, i.backward_name, i.backward, grid_of(s), dim3(kThreads), 0,
                static_cast<const bf16*>(op->g.data), static_cast<const bf16*>(op->u.data),
                static_cast<const bf16*>(op->dy.data), static_cast<bf16*>(op->dg.data),
                static_cast<bf16*>(op->du.data), static_cast<bf16*>(op->y.data), s);
}
