// The tiles that an attention kernel's main loop reads: K and V by queries, Q and dO by keys.
#pragma once

#include "kernels/attend.cuh"

namespace attention {

// Copies Count rows of a head of two matrices at a time into [first tile, second tile]. The first
// half of the block's threads copies the first matrix. A thread has one chunk of each group of its
// rows, so that all its addresses are constants away from the first, and the next rows cost an
// addition.
template <int D, int Count, int Threads>
class Stream {
 public:
  // Continues at this row and these columns of a and b.
  __device__ __forceinline__ void start(const Rows& a, int a_column, const Rows& b, int b_column,
                                        int row) {
    row += static_cast<int>(thread() / kGroup);
    stride_ = second() ? b.stride : a.stride;
    from_ = (second() ? b : a).at(row, second() ? b_column : a_column) + 8 * chunk();
  }

  // Copies the next rows. Rows are aligned (Problem::by16). Elements beyond `count` rows and head_dim
  // become zero.
  __device__ __forceinline__ void next(bf16* tiles, int count, const Problem& p) {
    const bf16* from = from_;
    from_ += int64_t{Count} * stride_;
    if (kPassRows > Count && thread() >= Count * kGroup) return;
    bf16* to = at<D>(tiles, thread() / kGroup + (second() ? Count : 0), chunk());
    const int rows = count - static_cast<int>(thread() / kGroup);
    const int columns = p.head_dim - static_cast<int>(8 * chunk());
#pragma unroll
    for (int row = 0; row < Count; row += kPassRows, from += int64_t{kPassRows} * stride_) {
#pragma unroll
      for (int chunk = 0; chunk < D / 8; chunk += kGroup) {
        ptx::copy_async<16>(to + row * D + 8 * chunk, from + 8 * chunk,
                            rows > row && columns > 8 * chunk ? 16 : 0);
      }
    }
  }

 private:
  static constexpr int kGroup = D % 64 == 0 ? 8 : 4, kPassRows = Threads / 2 / kGroup;
  static_assert(kPassRows % 8 == 0 && Count % 8 == 0, "a thread's rows permute chunks alike");

  static __device__ bool second() { return threadIdx.x >= Threads / 2; }
  static __device__ uint32_t thread() { return threadIdx.x % (Threads / 2); }
  static __device__ uint32_t chunk() { return threadIdx.x % kGroup; }

  const bf16* from_;
  int32_t stride_;
};

}  // namespace attention
