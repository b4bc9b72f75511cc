// Sums over the rows of a matrix, which sum_rows.cu has for others, too.
#pragma once

#include "include/qlora.h"

// sum[j] += sum over i of x[i][j]·(with[i][j] - less[i])·factor[i]/divisor[j]; with, less, factor
// and divisor are optional. With turns there is such a sum for each: row i belongs to turn i % turns.
// The rows of a turn are cut in as many pieces as workspace has rows for it.
struct ColumnSums {
  qlora_tensor x, with;
  const float *factor, *less;
  qlora_tensor divisor, sum, workspace;  // sum is [turns, cols]
  int turns = 1;
};

int column_sums(qlora_context*, const ColumnSums&);
