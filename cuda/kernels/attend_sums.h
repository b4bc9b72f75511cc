// Sums for attend_backward, defined in attend_sums.cu.
#pragma once

#include "kernels/attend.cuh"

namespace attention {

// Computes -delta of rows = tokens·heads rows.
int delta_sums(qlora_context*, const Problem&, const Rows& d_o, const Rows& o, int64_t rows,
               float* minus_delta);
// Computes dsinks of forward's heads.
int sink_gradients(qlora_context*, const Problem&, const qlora_attend& forward,
                   const float* minus_delta, float* dsinks);

}  // namespace attention
