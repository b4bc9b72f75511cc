// A tile of a 4-bit weight, decoded into a BF16 tile in shared memory.
//
// A piece is 16 bytes: the codes of 32 adjacent weights of a row, which share one scale. The thread
// that copies a piece also decodes it, so codes need no barrier. Eight adjacent threads have eight
// rows: their 16-byte stores into the tile, which permutes chunks by row, have no bank conflicts.
// The codebook is 16 floats in 16 banks.
#pragma once

#include "kernels/gemm_tile.cuh"
#include "kernels/quantized.cuh"

constexpr int kPieceWeights = 32;
constexpr int kPieceBytes = 16;
constexpr int kCodebookBytes = 16 * sizeof(float);

// Copies the codebook to shared memory; others may read it after a barrier.
__device__ inline void share_codebook(float* codebook, int kind) {
  if (threadIdx.x < 16) codebook[threadIdx.x] = kCodebooks[kind][threadIdx.x];
  __syncthreads();
}

template <class Tile, int Threads>
struct CodeTile {
  static constexpr int kPieces = Tile::kCols / kPieceWeights;  // in a row
  static constexpr int kPasses = Tile::kRows * kPieces / Threads;
  static constexpr int kBytes = Tile::kRows * kPieces * kPieceBytes;
  static_assert(Tile::kCols % kPieceWeights == 0, "rows are whole pieces");
  static_assert(Tile::kRows * kPieces % Threads == 0, "every thread copies as many pieces");

  // Starts copying the codes of the tile at (row0, col0).
  static __device__ void copy(uint8_t* codes, const CodedWeight& w, int row0, int col0) {
#pragma unroll
    for (int pass = 0; pass < kPasses; pass++) {
      Place at(pass);
      bool inside = row0 + at.row < w.rows && col0 + at.col < w.cols;
      const uint8_t* from =
          inside ? w.codes + w.element(row0 + at.row, col0 + at.col) / 2 : w.codes;
      ptx::copy_async<kPieceBytes>(codes + at.number * kPieceBytes, from, inside ? kPieceBytes : 0);
    }
  }

  // Loads the scales of this thread's pieces; 0 outside the weight, so that decoded values are 0.
  static __device__ void load_scales(float (&scales)[kPasses], const CodedWeight& w, int row0,
                                     int col0) {
#pragma unroll
    for (int pass = 0; pass < kPasses; pass++) {
      Place at(pass);
      bool inside = row0 + at.row < w.rows && col0 + at.col < w.cols;
      scales[pass] = 0;
      if (inside) {
        scales[pass] = w.scales.at(w.element(row0 + at.row, col0 + at.col) >> w.block_shift);
      }
    }
  }

  // Writes this thread's pieces to the tile: each weight is value·scale in float32, rounded once.
  static __device__ void decode(bf16* tile, const uint8_t* codes, const float* codebook,
                                const float (&scales)[kPasses]) {
#pragma unroll
    for (int pass = 0; pass < kPasses; pass++) {
      Place at(pass);
      uint4 piece = ptx::load128(codes + at.number * kPieceBytes);
      const uint32_t words[4] = {piece.x, piece.y, piece.z, piece.w};
#pragma unroll
      for (int i = 0; i < 4; i++) {
        uint32_t pairs[4];
#pragma unroll
        for (int j = 0; j < 4; j++) {  // a byte: its high half is the first of the two
          float first = codebook[words[i] >> (8 * j + 4) & 15] * scales[pass];
          float second = codebook[words[i] >> (8 * j) & 15] * scales[pass];
          pairs[j] = ptx::pack(first, second);
        }
        ptx::store128(tile + Tile::offset(at.row, at.col / 8 + i),
                      make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]));
      }
    }
  }

 private:
  // Returns the position in the tile of a thread's piece of a pass.
  struct Place {
    int number, row, col;
    __device__ explicit Place(int pass)
        : number(threadIdx.x + pass * Threads),
          row(number / (8 * kPieces) * 8 + number % 8),
          col(number / 8 % kPieces * kPieceWeights) {}
  };
};

// Replaces CodeTile if B is not coded.
struct NoCodes {
  static constexpr int kPasses = 1, kBytes = 0;
};
