// Matrix products, fused with the surrounding operations of a QLoRA step:
//
//   C = [C +] residual + bias + gain·scale·(mask(scale2·A2·op(B2)) + op(A)·op(B))
//
// A, B, A2 and B2 are BF16 in the layouts NT, NN and TN of qlora.h, sums are float32, C is BF16 or
// F32; any M, N, K >= 1 and any strides. A dropout mask applies to A, B, the extension or all
// products; it is drawn, not read, and must start at a multiple of 8 columns.
//
// Floor: 2·M·N·(K + K2) FLOPs, and 2·(M·K + K·N) bytes in, 2 or 4 per element of C out. Products
// with a rank for M or N are memory-bound, all others bound by the tensor cores.
//
// With b absent, B is a 4-bit weight (NT and NN): its rows are multiples of 64, its blocks a power
// of two and at least 64, and it is decoded to the same bits as by decode.cu. Every tile of A's
// rows decodes the weight again, so this is for few rows: for many, one decoded copy costs less.
//
// A launch has up to QLORA_PARTS products: in NT of one A, each with a C of its own, as query, key
// and value, whose tiles are one row of tiles; in NN summed in one C, as the gradient of their input,
// by a contraction that goes through the parts. A C has the bits of a launch of its own. Weights that
// are decoded inline have a launch for each part.
//
// A product that computes the gradient of a gated activation's output can compute those of its inputs
// and the output again in its epilogue (qlora_gate), which reads g and u and writes three results in
// place of one. What no epilogue does takes a launch of activate_backward. Likewise two products of
// one A, gate and up, compute the activation of their results (gemm_gated.cuh), or activate does.
//
// Files: gemm_mma.cuh is the kernel, gemm_tile.cuh the tiles of operands in shared memory,
// gemm_epilogue.cuh the epilogue, gemm_{nt,nn,tn}.cu the variants, gemm_choose.h the choice of one.
// Bits do not depend on the variant: `splits` cuts the contraction in units of 64, every sum runs
// over its piece in ascending steps of 16, and pieces are added in order. Tests force each variant
// (qlora_options) and compare.
#include <algorithm>

#include "kernels/entries.h"
#include "kernels/gemm_choose.h"
#include "kernels/gemm_epilogue.cuh"
#include "runtime/launch.h"

namespace {

constexpr int kThreads = 256;
constexpr int kUnit = 64;  // of the contraction; pieces are multiples of it

// Adds the pieces of 8 columns in order, and writes C.
__global__ void __launch_bounds__(kThreads)
    gemm_add_pieces(const float* partial, int pieces, Epilogue end) {
  int groups = (end.n + kEight - 1) / kEight;
  int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= int64_t{end.m} * groups) return;
  int row = static_cast<int>(i / groups), col = static_cast<int>(i % groups) * kEight;
  const float* from = partial + int64_t{row} * end.n + col;
  bool wide = end.n % 4 == 0 && col + kEight <= end.n;
  Eight sum{};
  for (int piece = 0; piece < pieces; piece++, from += int64_t{end.m} * end.n) {
    Eight x{};
    if (wide) {
      x = load8(from);
    } else {
#pragma unroll
      for (int i = 0; i < kEight; i++) {
        if (col + i < end.n) x.x[i] = from[i];
      }
    }
    add(&sum, x);
  }
  finish(end, row, col, sum);
}
REGISTER_KERNEL(gemm_add_pieces, kThreads, 0);

// Returns a message if no variant supports the operation, else NULL.
const char* unsupported(const qlora_gemm& op) {
  if (op.layout < QLORA_NT || op.layout > QLORA_TN) return "gemm: an unknown layout";
  if (op.mask_on != QLORA_MASK_NONE && op.mask_col % kEight != 0) {
    return "gemm: a mask that does not begin at a multiple of 8 columns";
  }
  if (op.splits < 1 || op.splits > 65535) return "gemm: splits is not in 1..65535";
  if (op.b.data == nullptr) {
    const qlora_weight& w = op.weight;
    if (w.codes == nullptr) return "gemm: neither B nor a weight in 4 bits";
    if (op.layout == QLORA_TN) return "gemm: a weight in 4 bits in the layout TN";
    if (op.mask_on == QLORA_MASK_B) return "gemm: a mask on a weight in 4 bits";
    if (w.in % 64 != 0 || w.block % 64 != 0 || shift_of(w.block) < 0 || !known_scales(w) ||
        reinterpret_cast<uintptr_t>(w.codes) % 16 != 0) {
      return "gemm: a weight in 4 bits whose rows are not whole slices of 64 with a scale each";
    }
  }
  if (op.splits > 1 && (op.workspace.data == nullptr || op.workspace.rows * op.workspace.cols <
                                                            op.splits * op.c.rows * op.c.cols)) {
    return "gemm: a workspace of less than splits·M·N elements";
  }
  return nullptr;
}

// Returns the gate of a launch, whose kernel computes it if the operands have whole vectors and the
// product needs nothing else.
Gate gate_of(const qlora_gemm& op, const Product& p) {
  const qlora_gate& g = op.gate;
  const Epilogue& e = p.end;
  bool whole = g.g.data != nullptr && g.u.data != nullptr && e.n % kEight == 0 && e.wide;
  for (const qlora_tensor* t : {&g.g, &g.u, &g.dg, &g.du}) whole = whole && wide(*t, 2);
  const bool alone = op.layout == QLORA_NN && op.b.data != nullptr && p.partial == nullptr &&
                     !e.f32 && !e.accumulate && !e.masked && e.scale == 1 &&
                     e.residual == nullptr && e.gain == nullptr && e.bias.data == nullptr;
  if (!whole || !alone || (g.kind != QLORA_SILU && g.kind != QLORA_GELU_TANH)) return {};
  return {static_cast<const bf16*>(g.g.data),
          static_cast<const bf16*>(g.u.data),
          static_cast<bf16*>(g.dg.data),
          static_cast<bf16*>(g.du.data),
          g.g.stride,
          g.u.stride,
          g.dg.stride,
          g.du.stride,
          g.kind,
          g.again != 0};
}

// Reports whether an epilogue with nothing but a bias writes bf16 in whole vectors.
bool bare(const Product& p) {
  const Epilogue& e = p.end;
  return p.plain && p.mask_on == QLORA_MASK_NONE && p.partial == nullptr && !e.f32 &&
         !e.accumulate && e.residual == nullptr && e.wide && e.n % kEight == 0;
}

// Returns the activation of a launch, whose kernel computes it if the two parts' operands have whole
// vectors and their products need nothing else.
Gated gated_of(const qlora_gated& op, const qlora_gemm* parts, const Products& all) {
  const qlora_gemm &a = parts[0], &b = parts[1];
  const Product &g = all.of[0], &u = all.of[1];
  const bool one = a.layout == QLORA_NT && a.b.data != nullptr && a.a.data == b.a.data &&
                   a.a.stride == b.a.stride && a.c.cols == b.c.cols;
  if (!one || !bare(g) || !bare(u) || !wide(op.y, 2)) return {};
  if (op.kind != QLORA_SILU && op.kind != QLORA_GELU_TANH) return {};
  return {static_cast<bf16*>(op.y.data), op.y.stride, op.kind, std::max(g.k2, u.k2)};
}

// Launches the activation of the parts' results, if they have one that no kernel has computed.
int activate_apart(qlora_context* c, const qlora_gemm* parts, const qlora_gated& gated) {
  if (gated.y.data == nullptr) return QLORA_OK;
  const qlora_activate after{gated.kind, parts[0].c, parts[1].c, gated.y};
  return activate(c, &after);
}

// Fills a part of a launch: its operands and its epilogue.
Product product(const qlora_gemm& op) {
  Product p{};
  p.a = operand(op.a);
  bool coded = op.b.data == nullptr;
  if (coded) {
    const qlora_weight& w = op.weight;
    p.weight = {w.codes, scales_of(w), w.out, w.in, w.kind, shift_of(w.block)};
  } else {
    p.b = operand(op.b);
  }
  p.k = op.layout == QLORA_TN ? p.a.rows : p.a.cols;
  if (op.a2.data != nullptr) {
    p.a2 = operand(op.a2);
    p.b2 = operand(op.b2);
    p.k2 = op.layout == QLORA_TN ? p.a2.rows : p.a2.cols;
  }
  int units = (p.k + kUnit - 1) / kUnit;
  p.piece = (units + op.splits - 1) / op.splits * kUnit;
  p.partial = p.k > p.piece ? static_cast<float*>(op.workspace.data) : nullptr;
  p.scale2 = op.scale2;
  p.mask_on = op.mask_on;
  p.plain = p.a.whole && (coded || p.b.whole) && (p.k2 == 0 || (p.a2.whole && p.b2.whole)) &&
            p.mask_on != QLORA_MASK_A && p.mask_on != QLORA_MASK_B;
  p.end = epilogue(op);
  return p;
}

// Returns a message if the parts cannot share a launch, else NULL.
const char* apart(const qlora_gemm* parts, int count, bool summed) {
  if (count < 1 || count > QLORA_PARTS) return "gemm: not 1 to 4 parts";
  const qlora_gemm& first = parts[0];
  for (int i = 0; i < count; i++) {
    const qlora_gemm& op = parts[i];
    if (const char* sentence = unsupported(op)) return sentence;
    if (op.layout != first.layout || (op.b.data == nullptr) != (first.b.data == nullptr)) {
      return "gemm: parts of several layouts";
    }
    if (i == 0) continue;
    if (op.layout != (summed ? QLORA_NN : QLORA_NT)) return "gemm: parts in this layout";
    if (summed ? op.b.data == nullptr || op.a2.data != nullptr || first.splits > 1
               : op.c.rows != first.c.rows || op.a.cols != first.a.cols || op.c.cols == 0 ||
                     op.splits != first.splits) {
      return "gemm: parts of several shapes";
    }
  }
  return nullptr;
}

int multiply(qlora_context* c, const qlora_gemm* parts, int count, bool summed,
             const qlora_gated& gated) {
  if (const char* sentence = apart(parts, count, summed)) {
    return fail(c, QLORA_UNSUPPORTED, "%s", sentence);
  }
  const qlora_gemm& first = parts[0];
  if (gated.y.data != nullptr && (count != 2 || summed)) {
    return fail(c, QLORA_UNSUPPORTED, "gemm: an activation of other than two parts");
  }
  if (first.c.rows == 0 || first.c.cols == 0) return QLORA_OK;
  Products all{};
  GemmShape shape{};
  bool plain = true;
  for (int i = 0; i < count; i++) {
    all.of[i] = product(parts[i]);
    plain = plain && all.of[i].plain;
    if (i == 0 || summed) shape.k += all.of[i].k + all.of[i].k2;
    if (i == 0 || !summed) shape.n[shape.parts++] = parts[i].c.cols;
  }
  if (summed) all.of[0].plain = plain;
  all.legs = summed ? count : 1;
  all.gate = gate_of(first, all.of[0]);
  if (gated.y.data != nullptr) all.gated = gated_of(gated, parts, all);
  if (all.gated.y != nullptr) shape.n[0] += shape.n[1], shape.parts = 1;
  const Product& p = all.of[0];
  shape.m = first.c.rows;
  shape.pieces = std::max(1, (p.k + p.piece - 1) / p.piece);

  bool coded = first.b.data == nullptr;
  const GemmVariants& from = first.layout == QLORA_NT   ? (coded ? gemm_nt_coded : gemm_nt)
                             : first.layout == QLORA_NN ? (coded ? gemm_nn_coded : gemm_nn)
                                                        : gemm_tn;
  const GemmVariant& v = gemm_choose(from, shape, {processors(c), compute(c), variant(c)});
  for (int i = 0; i < QLORA_PARTS; i++) {
    all.first[i] = i < shape.parts ? all.tile_columns : INT32_MAX;
    if (i < shape.parts) all.tile_columns += static_cast<int32_t>((shape.n[i] + v.n - 1) / v.n);
  }
  int64_t blocks = (shape.m + v.m - 1) / v.m * all.tile_columns;
  dim3 grid(static_cast<uint32_t>(blocks), 1, static_cast<uint32_t>(shape.pieces));
  int status = launch(c, v.name, v.kernel, grid, dim3(v.threads), v.shared_bytes, all);
  for (int i = 0; i < shape.parts && shape.pieces > 1 && status == QLORA_OK; i++) {
    int64_t threads = shape.m * ((shape.n[i] + kEight - 1) / kEight);
    status = launch(c, "gemm_add_pieces", gemm_add_pieces,
                    dim3(static_cast<uint32_t>((threads + kThreads - 1) / kThreads)),
                    dim3(kThreads), 0, static_cast<const float*>(all.of[i].partial),
                    static_cast<int>(shape.pieces), all.of[i].end);
  }
  if (status == QLORA_OK && all.gated.y == nullptr) status = activate_apart(c, parts, gated);
  if (status != QLORA_OK || first.gate.g.data == nullptr || all.gate.g != nullptr) return status;
  const qlora_gate& g = first.gate;
  const qlora_activate_backward after{
      g.kind, g.g, g.u, first.c, g.dg, g.du, g.again != 0 ? first.c : qlora_tensor{}};
  return activate_backward(c, &after);
}

}  // namespace

int gemm(qlora_context* c, const qlora_gemm* op) { return multiply(c, op, 1, false, {}); }

int gemm_parts(qlora_context* c, const qlora_gemm_parts* op) {
  const bool summed = op->summed != 0;
  if (summed || op->count < 1 || op->of[0].b.data != nullptr) {
    return multiply(c, op->of, op->count, summed, op->gated);
  }
  if (const char* sentence = apart(op->of, op->count, summed)) {
    return fail(c, QLORA_UNSUPPORTED, "%s", sentence);
  }
  int status = QLORA_OK;
  for (int i = 0; i < op->count && status == QLORA_OK; i++) {
    status = multiply(c, op->of + i, 1, false, {});
  }
  return status == QLORA_OK ? activate_apart(c, op->of, op->gated) : status;
}
