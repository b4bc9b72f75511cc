// One optimizer step over all parameters (bindings.Optimize has the rules): AdamW, Lion or SGD,
// with moments in F32 or in 8 bits, in blocks of 256. Nothing is updated if the clip factor, which
// is read on the device, is not finite.
//
// A block updates a piece of 16,384 elements of one parameter, found by bisecting the list of
// pieces. A warp has 256 adjacent elements, one block of an 8-bit moment, whose absmax is a maximum
// over the warp; a lane has twice 4 of them, so that every access is of whole sectors (params.cuh). Every operation is rounded as on the CPU device: both follow torch's
// and bitsandbytes' arithmetic.
//
// AdamW moves 28 bytes per element (master, m, v both ways, the gradient once), 18 with 8-bit
// moments, and 2 more for a 16-bit value, for 12 operations, one root and two divisions:
// memory-bound. An 8-bit moment is encoded by a search among 256 values in shared memory, 9 reads
// per element with some conflicts: that, not memory, bounds such parameters.
#include "kernels/dynamic8.cuh"
#include "kernels/entries.h"
#include "kernels/params.cuh"
#include "kernels/reduce.cuh"
#include "runtime/launch.h"

namespace {

constexpr int kThreads = 256;
constexpr int kBlock = kWarpElements;  // of an 8-bit moment
constexpr int kShared = 2 * kDynamicWords * sizeof(float);

// The parameters of a rule; scalars are rounded to float32 once.
struct Step {
  float beta1, beta2, fresh1, fresh2, eps, correction1, correction2_sqrt;
  bool first, nesterov;
  const float* clip;
  const float *map_signed, *map_unsigned;
};

// The rules update one element. `coded` says that the first moment is in 8 bits.
struct AdamW {
  static __device__ __forceinline__ void move(const Step& s, const qlora_param& p, float g,
                                              bool coded, float* w, float* m, float* v) {
    const float x = __fmul_rn(*w, p.decay);
    // torch's lerp starts at the moment, or at the gradient if that is nearer; bitsandbytes sums.
    if (coded) {
      *m = fmaf(s.fresh1, g, __fmul_rn(*m, s.beta1));
    } else if (s.fresh1 < 0.5f) {
      *m = fmaf(s.fresh1, __fadd_rn(g, -*m), *m);
    } else {
      *m = fmaf(s.fresh1 - 1, __fadd_rn(g, -*m), g);
    }
    *v = fmaf(__fmul_rn(s.fresh2, g), g, __fmul_rn(*v, s.beta2));
    const float root = __fadd_rn(__fdiv_rn(__fsqrt_rn(*v), s.correction2_sqrt), s.eps);
    const float step = __fdiv_rn(-p.lr, s.correction1);
    *w = __fadd_rn(x, __fdiv_rn(__fmul_rn(step, *m), root));
  }
};

struct Lion {
  static __device__ __forceinline__ void move(const Step& s, const qlora_param& p, float g, bool,
                                              float* w, float* m, float*) {
    const float direction = fmaf(s.fresh1, g, __fmul_rn(*m, s.beta1));
    const float by = direction > 0 ? p.lr : direction < 0 ? -p.lr : 0.0f;
    *w = __fadd_rn(__fmul_rn(*w, p.decay), -by);
    *m = fmaf(s.fresh2, g, __fmul_rn(*m, s.beta2));
  }
};

struct Sgd {  // beta1 is the momentum, fresh2 is 1 - dampening
  static __device__ __forceinline__ void move(const Step& s, const qlora_param& p, float g, bool,
                                              float* w, float* m, float*) {
    if (p.decay != 0) g = fmaf(p.decay, *w, g);
    if (p.m != nullptr) {
      *m = s.first ? g : fmaf(s.fresh2, g, __fmul_rn(*m, s.beta1));
      g = s.nesterov ? fmaf(s.beta1, *m, g) : *m;
    }
    *w = fmaf(-p.lr, g, *w);
  }
};

// A warp's part of one parameter's moment: 256 elements from `begin` on.
struct Moment {
  void* values;
  float* absmax;  // present: values are codes
  const float* map;
  int64_t begin, n;

  __device__ __forceinline__ Eight load() const {
    Eight e = {};
    if (values == nullptr) return e;
    if (absmax == nullptr) {
      return load_share(static_cast<const float*>(values), begin, n, aligned(values));
    }
    const auto* codes = static_cast<const uint8_t*>(values);
    const float scale = absmax[begin / kBlock];
    if (begin + kBlock <= n) {
#pragma unroll
      for (int half = 0; half < 2; half++) {
        const uint32_t word = ptx::load32(codes + share(begin, 4 * half));
#pragma unroll
        for (int i = 0; i < 4; i++) {
          const int code = static_cast<int>(word >> (8 * i) & 255);
          e.x[4 * half + i] = __fmul_rn(map[dynamic_place(code)], scale);
        }
      }
      return e;
    }
#pragma unroll
    for (int i = 0; i < kEight; i++) {
      const int64_t at = share(begin, i);
      if (at < n) e.x[i] = __fmul_rn(map[dynamic_place(codes[at])], scale);
    }
    return e;
  }

  // Elements beyond the end must be 0. All lanes must call it.
  __device__ __forceinline__ void store(const Eight& e) const {
    if (values == nullptr) return;
    if (absmax == nullptr) {
      store_share(static_cast<float*>(values), begin, n, aligned(values), e);
      return;
    }
    float most = 0;
#pragma unroll
    for (int i = 0; i < kEight; i++) most = fmaxf(most, fabsf(e.x[i]));
    most = lanes_max<32>(most);
    if (threadIdx.x % 32 == 0) absmax[begin / kBlock] = most;
    const float inverse = __fdiv_rn(1.0f, most);
    uint32_t codes[kEight];
#pragma unroll
    for (int i = 0; i < kEight; i++) {  // a block of zeros has codes of 0
      codes[i] = most == 0 ? 0 : dynamic_code(map, __fmul_rn(e.x[i], inverse));
    }
    auto* to = static_cast<uint8_t*>(values);
    if (begin + kBlock <= n) {
#pragma unroll
      for (int i = 0; i < kEight; i += 4) {
        ptx::store32(to + share(begin, i),
                     codes[i] | codes[i + 1] << 8 | codes[i + 2] << 16 | codes[i + 3] << 24);
      }
      return;
    }
#pragma unroll
    for (int i = 0; i < kEight; i++) {
      const int64_t at = share(begin, i);
      if (at < n) to[at] = static_cast<uint8_t>(codes[i]);
    }
  }
};

template <class Rule>
__global__ void __launch_bounds__(kThreads) optimize_pieces(Params params, Step s) {
  const float clip = s.clip[1];
  if (!(fabsf(clip) <= 3.402823466e38f)) return;
  const int64_t piece = blockIdx.x;
  const int which = params.of_piece(piece);
  const qlora_param p = params.at(which);
  const int64_t first = (piece - params.begins[which]) * QLORA_PIECE;
  float* maps = shared_memory<float>();
  if (p.m_absmax != nullptr || p.v_absmax != nullptr) {
    maps[dynamic_place(threadIdx.x)] = s.map_signed[threadIdx.x];
    maps[kDynamicWords + dynamic_place(threadIdx.x)] = s.map_unsigned[threadIdx.x];
    __syncthreads();
  }
  const bool wide = aligned(p.master) && aligned(p.grad);
  for (int block = threadIdx.x / 32; block < QLORA_PIECE / kBlock; block += kThreads / 32) {
    const int64_t begin = first + block * kBlock;
    if (begin >= p.n) break;
    const Moment first_moment{p.m, p.m_absmax, maps, begin, p.n};
    const Moment second_moment{p.v, p.v_absmax, maps + kDynamicWords, begin, p.n};
    Eight w = load_share(p.master, begin, p.n, wide), g = load_share(p.grad, begin, p.n, wide);
    Eight m = first_moment.load(), v = second_moment.load();
#pragma unroll
    for (int i = 0; i < kEight; i++) {
      Rule::move(s, p, __fmul_rn(g.x[i], clip), p.m_absmax != nullptr, &w.x[i], &m.x[i], &v.x[i]);
    }
    store_share(p.master, begin, p.n, wide, w);
    first_moment.store(m);
    second_moment.store(v);
    if (p.value == nullptr) continue;
    if (p.value_dtype == QLORA_BF16) {
      store_share(static_cast<bf16*>(p.value), begin, p.n, aligned(p.value), w);
    } else {
      store_share(static_cast<f16*>(p.value), begin, p.n, aligned(p.value), w);
    }
  }
}
REGISTER_INSTANCE(optimize_adamw, kThreads, kShared, optimize_pieces<AdamW>);
REGISTER_INSTANCE(optimize_lion, kThreads, kShared, optimize_pieces<Lion>);
REGISTER_INSTANCE(optimize_sgd, kThreads, kShared, optimize_pieces<Sgd>);

// Returns a message if a list of parameters is not supported, else nullptr.
const char* unsupported(const qlora_optimize& op) {
  if (op.table.rows * op.table.cols < param_table_bytes(op.count)) {
    return "optimize: a table of less than its parameters";
  }
  for (int i = 0; i < op.count; i++) {
    const qlora_param& p = op.params[i];
    if (p.value != nullptr && p.value_dtype != QLORA_BF16 && p.value_dtype != QLORA_F16) {
      return "optimize: a value that is neither BF16 nor F16";
    }
    for (const void* codes : {p.m_absmax != nullptr ? p.m : nullptr,  //
                              p.v_absmax != nullptr ? p.v : nullptr}) {
      if (reinterpret_cast<uintptr_t>(codes) % 8 != 0) {
        return "optimize: codes of a moment that are not aligned to 8 bytes";
      }
    }
  }
  return nullptr;
}

}  // namespace

int optimize(qlora_context* c, const qlora_optimize* op) {
  if (const char* why = unsupported(*op)) return fail(c, QLORA_UNSUPPORTED, "%s", why);
  Params params;
  int64_t pieces;
  int status = upload_params(c, op->params, op->count, op->table.data, &params, &pieces);
  if (status != QLORA_OK || pieces == 0) return status;
  Step s{op->beta1,         op->beta2,       op->one_minus_beta1,  op->one_minus_beta2,
         op->eps,           op->correction1, op->correction2_sqrt, op->first_step != 0,
         op->nesterov != 0, op->clip,        op->map_signed,       op->map_unsigned};
  dim3 grid(static_cast<uint32_t>(pieces)), block(kThreads);
  switch (op->rule) {
    case QLORA_ADAMW:
      return launch(c, "optimize_adamw", optimize_pieces<AdamW>, grid, block, kShared, params, s);
    case QLORA_LION:
      return launch(c, "optimize_lion", optimize_pieces<Lion>, grid, block, kShared, params, s);
    case QLORA_SGD:
      return launch(c, "optimize_sgd", optimize_pieces<Sgd>, grid, block, kShared, params, s);
  }
  return fail(c, QLORA_UNSUPPORTED, "optimize: rule %d", op->rule);
}
