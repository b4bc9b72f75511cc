// dst = src, converted between F32, BF16 and F16: rounded to nearest even, NaN stays NaN.
//
// It moves the bytes of both elements and computes nothing: memory-bound. Each thread handles 8
// elements, 16 or 32 bytes on each side; one element at a time if rows are not aligned. Elements of
// the same type are copied unchanged. Columns may form groups on either side, as one head's queries
// do in a fused projection. Rows may go to places that a vector holds, as keys do in a cache; after a
// failed check of them the kernel does nothing.
#include "kernels/elements.cuh"
#include "kernels/entries.h"
#include "runtime/launch.h"

namespace {

constexpr int kThreads = 256;

// The columns of one side: groups of `width`, one every `period`; width 0: one group.
struct Side {
  int64_t stride;
  int32_t width, period;
  __device__ __forceinline__ int64_t at(int64_t row, int64_t col) const {
    if (width == 0) return row * stride + col;
    auto c = static_cast<uint32_t>(col);
    return row * stride + int64_t{c / width} * period + c % width;
  }
};

struct Rectangle {
  int64_t rows, cols;
  Side dst, src;
  const int32_t* places;   // of the rows in dst, or null: in order
  const Failure* failure;  // with places
};

// Finds the offsets of this thread's element or unit on both sides; false if it has none.
__device__ __forceinline__ bool place(const Rectangle& r, int width, int64_t* dst, int64_t* src) {
  int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x, row = 0;
  int64_t per_row = r.cols / width;
  if (i >= r.rows * per_row || (r.places != nullptr && r.failure->check != 0)) return false;
  if (r.rows > 1) {
    row = i / per_row;
    i -= row * per_row;
  }
  *dst = r.dst.at(r.places == nullptr ? row : int64_t{ptx::global(r.places)[row]}, i * width);
  *src = r.src.at(row, i * width);
  return true;
}

template <class To, class From, int kWidth>
__global__ void __launch_bounds__(kThreads) convert(To* dst, const From* src, Rectangle r) {
  int64_t to, from;
  if (!place(r, kWidth, &to, &from)) return;
  if constexpr (kWidth == kEight) {
    store8(dst + to, load8(src + from));
  } else {
    dst[to] = ptx::from_float<To>(ptx::to_float(src[from]));
  }
}

// Copies words of any type unchanged.
template <class Word>
__global__ void __launch_bounds__(kThreads) move_words(Word* dst, const Word* src, Rectangle r) {
  int64_t to, from;
  if (!place(r, 1, &to, &from)) return;
  if constexpr (sizeof(Word) == 16) {
    ptx::store128(dst + to, ptx::load128(src + from));
  } else {
    dst[to] = src[from];
  }
}

template <class Word>
int move_as(qlora_context* c, const char* name, void* dst, const void* src, Rectangle r,
            int64_t bytes) {
  auto in_words = [&](auto n) {
    return static_cast<decltype(n)>(n * bytes / static_cast<int64_t>(sizeof(Word)));
  };
  auto side = [&](const Side& s) {
    return Side{in_words(s.stride), in_words(s.width), in_words(s.period)};
  };
  r = {r.rows, in_words(r.cols), side(r.dst), side(r.src), r.places, r.failure};
  dim3 grid(static_cast<uint32_t>(ceil_div(r.rows * r.cols, kThreads)));
  return launch(c, name, move_words<Word>, grid, dim3(kThreads), 0, static_cast<Word*>(dst),
                static_cast<const Word*>(src), r);
}

template <class To, class From>
int convert_as(qlora_context* c, const char* name, const char* elements_name, const qlora_copy* op,
               const Rectangle& r, bool wide) {
  dim3 grid(static_cast<uint32_t>(ceil_div(r.rows * r.cols, wide ? kThreads * kEight : kThreads)));
  auto* to = static_cast<To*>(op->dst.data);
  auto* from = static_cast<const From*>(op->src.data);
  if (wide) return launch(c, name, convert<To, From, kEight>, grid, dim3(kThreads), 0, to, from, r);
  return launch(c, elements_name, convert<To, From, 1>, grid, dim3(kThreads), 0, to, from, r);
}

REGISTER_INSTANCE(copy_words_16, kThreads, 0, move_words<uint4>);
REGISTER_INSTANCE(copy_words_4, kThreads, 0, move_words<uint32_t>);
REGISTER_INSTANCE(copy_words_2, kThreads, 0, move_words<uint16_t>);
REGISTER_INSTANCE(copy_words_1, kThreads, 0, move_words<uint8_t>);
REGISTER_INSTANCE(copy_f32_bf16, kThreads, 0, convert<float, bf16, kEight>);
REGISTER_INSTANCE(copy_f32_bf16_elements, kThreads, 0, convert<float, bf16, 1>);
REGISTER_INSTANCE(copy_f32_f16, kThreads, 0, convert<float, f16, kEight>);
REGISTER_INSTANCE(copy_f32_f16_elements, kThreads, 0, convert<float, f16, 1>);
REGISTER_INSTANCE(copy_bf16_f32, kThreads, 0, convert<bf16, float, kEight>);
REGISTER_INSTANCE(copy_bf16_f32_elements, kThreads, 0, convert<bf16, float, 1>);
REGISTER_INSTANCE(copy_bf16_f16, kThreads, 0, convert<bf16, f16, kEight>);
REGISTER_INSTANCE(copy_bf16_f16_elements, kThreads, 0, convert<bf16, f16, 1>);
REGISTER_INSTANCE(copy_f16_f32, kThreads, 0, convert<f16, float, kEight>);
REGISTER_INSTANCE(copy_f16_f32_elements, kThreads, 0, convert<f16, float, 1>);
REGISTER_INSTANCE(copy_f16_bf16, kThreads, 0, convert<f16, bf16, kEight>);
REGISTER_INSTANCE(copy_f16_bf16_elements, kThreads, 0, convert<f16, bf16, 1>);

int64_t size_of(int dtype) {
  return dtype == QLORA_U8 ? 1 : dtype == QLORA_BF16 || dtype == QLORA_F16 ? 2 : 4;
}

}  // namespace

int copy(qlora_context* c, const qlora_copy* op) {
  Rectangle r{op->src.rows,
              op->src.cols,
              {op->dst.stride, op->dst.width, op->dst.period},
              {op->src.stride, op->src.width, op->src.period},
              static_cast<const int32_t*>(op->rows.data),
              failure(c)};
  if (r.rows * r.cols == 0) return QLORA_OK;
  const int32_t groups = r.dst.width | r.dst.period | r.src.width | r.src.period;
  if (r.places == nullptr && r.rows > 1 && r.dst.stride == r.cols && r.src.stride == r.cols &&
      groups == 0) {
    // one long row
    r.cols *= r.rows;
    r.rows = 1;
  }
  auto address =
      reinterpret_cast<uintptr_t>(op->dst.data) | reinterpret_cast<uintptr_t>(op->src.data);
  if (op->dst.dtype == op->src.dtype) {
    int64_t bytes = size_of(op->dst.dtype);
    uint64_t all = address | static_cast<uint64_t>(r.cols * bytes);
    all |= static_cast<uint64_t>(groups * bytes);
    if (r.rows > 1 || r.places != nullptr)
      all |= static_cast<uint64_t>((r.dst.stride | r.src.stride) * bytes);
    if (all % 16 == 0)
      return move_as<uint4>(c, "copy_words_16", op->dst.data, op->src.data, r, bytes);
    if (all % 4 == 0)
      return move_as<uint32_t>(c, "copy_words_4", op->dst.data, op->src.data, r, bytes);
    if (all % 2 == 0)
      return move_as<uint16_t>(c, "copy_words_2", op->dst.data, op->src.data, r, bytes);
    return move_as<uint8_t>(c, "copy_words_1", op->dst.data, op->src.data, r, bytes);
  }
  bool wide = !prefers(c, "elements") && address % 16 == 0 && r.cols % kEight == 0 &&
              groups % kEight == 0 &&
              ((r.rows == 1 && r.places == nullptr) || (r.dst.stride | r.src.stride) % kEight == 0);
  switch (op->dst.dtype * 8 + op->src.dtype) {
    case QLORA_F32 * 8 + QLORA_BF16:
      return convert_as<float, bf16>(c, "copy_f32_bf16", "copy_f32_bf16_elements", op, r, wide);
    case QLORA_F32 * 8 + QLORA_F16:
      return convert_as<float, f16>(c, "copy_f32_f16", "copy_f32_f16_elements", op, r, wide);
    case QLORA_BF16 * 8 + QLORA_F32:
      return convert_as<bf16, float>(c, "copy_bf16_f32", "copy_bf16_f32_elements", op, r, wide);
    case QLORA_BF16 * 8 + QLORA_F16:
      return convert_as<bf16, f16>(c, "copy_bf16_f16", "copy_bf16_f16_elements", op, r, wide);
    case QLORA_F16 * 8 + QLORA_F32:
      return convert_as<f16, float>(c, "copy_f16_f32", "copy_f16_f32_elements", op, r, wide);
    case QLORA_F16 * 8 + QLORA_BF16:
      return convert_as<f16, bf16>(c, "copy_f16_bf16", "copy_f16_bf16_elements", op, r, wide);
  }
  return fail(c, QLORA_UNSUPPORTED, "copy: from element type %d to %d", op->src.dtype,
              op->dst.dtype);
}
