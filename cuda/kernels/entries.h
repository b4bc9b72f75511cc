// The entry functions of all kernels in the table; include/qlora.h documents each.
#pragma once

#include "include/qlora.h"

int gemm(qlora_context*, const qlora_gemm*);
int gemm_parts(qlora_context*, const qlora_gemm_parts*);
int gemv(qlora_context*, const qlora_gemv*);
int pull_parts(qlora_context*, const qlora_pull_parts*);
int decode(qlora_context*, const qlora_decode*);
int decode_parts(qlora_context*, const qlora_decode_parts*);
int quantize(qlora_context*, const qlora_quantize*);
int nest(qlora_context*, const qlora_nest*);
int row_norms(qlora_context*, const qlora_row_norms*);
int check_range(qlora_context*, const qlora_check_range*);
int embed(qlora_context*, const qlora_embed*);
int embed_backward(qlora_context*, const qlora_embed_backward*);
int norm(qlora_context*, const qlora_norm*);
int norm_backward(qlora_context*, const qlora_norm_backward*);
int rope(qlora_context*, const qlora_rope*);
int extend(qlora_context*, const qlora_extend*);
int activate(qlora_context*, const qlora_activate*);
int activate_backward(qlora_context*, const qlora_activate_backward*);
int add(qlora_context*, const qlora_add*);
int clamp(qlora_context*, const qlora_clamp*);
int attend(qlora_context*, const qlora_attend*);
int attend_decode(qlora_context*, const qlora_attend*);
int attend_backward(qlora_context*, const qlora_attend_backward*);
int cross_entropy(qlora_context*, const qlora_cross_entropy*);
int loss_stats(qlora_context*, const qlora_loss_stats*);
int log_probs(qlora_context*, const qlora_log_probs*);
int preference(qlora_context*, const qlora_preference*);
int policy(qlora_context*, const qlora_policy*);
int scale_columns(qlora_context*, const qlora_scale_columns*);
int sum_rows(qlora_context*, const qlora_sum_rows*);
int scale_rows(qlora_context*, const qlora_scale_rows*);
int gather(qlora_context*, const qlora_gather*);
int copy(qlora_context*, const qlora_copy*);
int fixed_point(qlora_context*, const qlora_fixed_point*);
int grad_norm(qlora_context*, const qlora_grad_norm*);
int optimize(qlora_context*, const qlora_optimize*);
