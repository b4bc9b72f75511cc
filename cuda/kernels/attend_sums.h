// Sums for attend_backward, which attend_sums.cu has.
#pragma once

#include "kernels/attend.cuh"

namespace attention {

// delta[row] of rows = tokens·heads rows.
int delta_sums(qlora_context*, const Problem&, const Rows& d_o, const Rows& o, int64_t rows,
               float* delta);
// dsinks of forward's heads.
int sink_gradients(qlora_context*, const Problem&, const qlora_attend& forward, const float* delta,
                   float* dsinks);

}  // namespace attention
