// A tile of an operand in shared memory: copying, masking, and reading as fragments.
//
// Its rows are the matrix's rows. 16-byte chunks of a row are permuted (XOR with the row number) so
// that the 8 rows read by one step of ldmatrix, and the chunks written by a warp, lie in different
// banks.
#pragma once

#include "kernels/gemm_product.h"
#include "kernels/philox.cuh"

// [Rows, Cols] of BF16. Inner: the contraction runs along its columns, else along its rows.
template <int Rows, int Cols, bool Inner, int Threads>
struct SharedTile {
  static constexpr int kRows = Rows, kCols = Cols, kBytes = Rows * Cols * 2;
  static constexpr int kChunks = Cols / 8;  // of 16 bytes, in a row
  static constexpr int kPasses = Rows * kChunks / Threads;
  static_assert(Rows * kChunks % Threads == 0, "every thread copies as many chunks");
  static_assert((kChunks & (kChunks - 1)) == 0, "chunks are permuted by XOR");

  // Unsigned, like all positions in a tile: division by a power of two is then one shift.
  static __device__ uint32_t offset(uint32_t row, uint32_t chunk) {
    // Rows of 128 bytes or more start at bank 0; shorter ones fill 128 bytes together.
    uint32_t twist = kChunks >= 8 ? row % 8 : row / (8 / kChunks) % kChunks;
    return row * Cols + (chunk ^ twist) * 8;
  }

  // The position of a thread in an operand of whole chunks. Slices of the contraction follow each
  // other, so the next one costs an addition.
  struct Cursor {
    const bf16* at;       // this thread's first chunk of the next slice
    int64_t pass, slice;  // elements to its next chunk, and to its first of the next slice
    int left, rows;       // of the contraction from `at` on, and Inner: rows of the operand
    uint32_t to;          // position in the tile
  };
  static constexpr int kPassRows = Threads / kChunks;
  static_assert(kPasses == 1 || kPassRows % 8 == 0, "all passes permute chunks alike");

  // Returns the cursor at element mn0 of the rows (Inner) or columns of the operand, and at k0 of
  // the contraction, which ends at k1.
  static __device__ Cursor cursor(const Operand& from, int mn0, int k0, int k1) {
    int r = threadIdx.x / kChunks, chunk = threadIdx.x % kChunks;
    int row = (Inner ? mn0 : k0) + r, col = (Inner ? k0 : mn0) + 8 * chunk;
    Cursor c;
    c.at = from.data + row * from.stride + col;
    c.pass = kPassRows * from.stride;
    c.slice = Inner ? Cols : Rows * from.stride;
    c.left = Inner ? k1 - col : col < from.cols ? k1 - row : 0;
    c.rows = from.rows - row;
    c.to = offset(r, chunk);
    return c;
  }

  // Starts copying the next slice. Chunks outside the matrix and behind the end of the contraction
  // become zeros.
  static __device__ __forceinline__ void copy(bf16* tile, Cursor* c) {
    const bf16* from = c->at;
#pragma unroll
    for (int pass = 0; pass < kPasses; pass++, from += c->pass) {
      bool in = Inner ? c->left > 0 && c->rows > pass * kPassRows : c->left > pass * kPassRows;
      ptx::copy_async<16>(tile + c->to + pass * kPassRows * Cols, from, in ? 16 : 0);
    }
    c->at += c->slice;
    c->left -= Inner ? Cols : Rows;
  }

  // Copies the part of any matrix at (row0, col0), asynchronously if it is wide. Elements outside
  // the matrix become zeros.
  static __device__ void copy(bf16* tile, const Operand& from, int row0, int col0) {
#pragma unroll
    for (int pass = 0; pass < kPasses; pass++) {
      int i = threadIdx.x + pass * Threads, r = i / kChunks, chunk = i % kChunks;
      int row = row0 + r, col = col0 + chunk * 8;
      int count = row < from.rows ? max(0, min(8, from.cols - col)) : 0;
      const bf16* p = count > 0 ? from.data + row * from.stride + col : from.data;
      bf16* to = tile + offset(r, chunk);
      if (from.wide) {
        ptx::copy_async<16>(to, p, 2 * count);
      } else {
        ptx::store128(to, gather(p, count));
      }
    }
  }

  // Multiplies the elements that this thread has copied by the mask, whose element (0, 0) is the
  // matrix's (-row_offset, -8·group_offset).
  static __device__ void apply(bf16* tile, const qlora_mask& mask, int row0, int col0) {
#pragma unroll 1
    for (int pass = 0; pass < kPasses; pass++) {
      int i = threadIdx.x + pass * Threads, r = i / kChunks, chunk = i % kChunks;
      uint32_t kept = dropout_kept(mask, row0 + r, col0 / 8 + chunk);
      bf16* at = tile + offset(r, chunk);
      uint4 x = ptx::load128(at);
      ptx::store128(at, make_uint4(masked(mask, x.x, kept), masked(mask, x.y, kept >> 2),
                                   masked(mask, x.z, kept >> 4), masked(mask, x.w, kept >> 6)));
    }
  }

  // The position that this lane passes to ldmatrix for the 16x16 elements at mn of the rows (Inner)
  // or columns and 0 of the contraction. As an mma's A: registers of rows (0-7, 8-15) by k (0-7,
  // 8-15). As two mma's B, columns (0-7, 8-15) of the product: registers of k (0-7, 8-15) each.
  static __device__ uint32_t place_a(uint32_t mn) { return place(mn, lane_bit(3), lane_bit(4)); }
  static __device__ uint32_t place_b(uint32_t mn) { return place(mn, lane_bit(4), lane_bit(3)); }

  // Loads the elements 16·block rows (columns) and 16·step of the contraction behind that place: a
  // constant away, by XOR along the permuted chunks. mn is a multiple of a warp's part of the tile.
  static __device__ __forceinline__ void load(uint32_t (&r)[4], const bf16* tile, uint32_t place,
                                              int block, int step) {
    if constexpr (Inner) {
      ptx::ldmatrix(r, tile + (place ^ 16 * step) + 16 * block * Cols);
    } else {
      ptx::ldmatrix_transposed(r, tile + (place ^ 16 * block) + 16 * step * Cols);
    }
  }

 private:
  static __device__ uint32_t lane_bit(int bit) { return threadIdx.x >> bit & 1; }

  static __device__ uint32_t place(uint32_t mn, uint32_t mn_half, uint32_t k_half) {
    uint32_t i = threadIdx.x % 8;
    return Inner ? offset(mn + 8 * mn_half + i, k_half) : offset(8 * k_half + i, mn / 8 + mn_half);
  }

  static __device__ uint32_t masked(const qlora_mask& mask, uint32_t pair, uint32_t kept) {
    return ptx::pack(ptx::low(pair) * dropout_factor(mask, kept),
                     ptx::high(pair) * dropout_factor(mask, kept >> 1));
  }

  // Elements one by one, if they are not aligned.
  static __device__ uint4 gather(const bf16* from, int count) {
    uint32_t x[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
      uint32_t low = 2 * i < count ? from[2 * i].bits : 0u;
      uint32_t high = 2 * i + 1 < count ? from[2 * i + 1].bits : 0u;
      x[i] = low | high << 16;
    }
    return make_uint4(x[0], x[1], x[2], x[3]);
  }
};
