// Sums over the rows of a matrix, defined in sum_rows.cu.
#pragma once

#include "include/qlora.h"

// sum[j] += sum over i of x[i][j]·(with[i][j] - less[i])·factor[i]/divisor[j]; with, less, factor
// and divisor are optional. There is one sum per turn: row i belongs to turn i % turns. The rows of
// a turn are split into as many pieces as workspace has rows for it.
struct ColumnSums {
  qlora_tensor x, with;
  const float *factor, *less;
  qlora_tensor divisor, sum, workspace;  // sum is [turns, cols]
  int turns = 1;
};

int column_sums(qlora_context*, const ColumnSums&);
