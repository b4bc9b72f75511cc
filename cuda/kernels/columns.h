// Sums over the rows of a matrix, which sum_rows.cu has for others, too.
#pragma once

#include "include/qlora.h"

// sum[j] += sum over i of x[i][j]·with[i][j]·factor[i]/divisor[j]; with, factor and divisor are
// optional. The rows are cut in as many pieces as workspace has rows.
struct ColumnSums {
  qlora_tensor x, with;
  const float* factor;
  qlora_tensor divisor, sum, workspace;
};

int column_sums(qlora_context*, const ColumnSums&);
