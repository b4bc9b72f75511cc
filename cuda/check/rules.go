package main

import "path"

// A rule lists what the machine code of some kernels must have and must not have.
type rule struct {
	kernels []string // names; * matches any part
	needs   []string // required instructions
	never   []string // forbidden instructions
	stack   string   // why a stack, of the size in the table, is allowed; "": not allowed
}

func (r *rule) matches(kernel string) bool {
	for _, pattern := range r.kernels {
		if ok, _ := path.Match(pattern, kernel); ok {
			return true
		}
	}
	return false
}

// ruleOf returns the first rule that matches a kernel.
func ruleOf(kernel string, rules []rule) *rule {
	for i := range rules {
		if rules[i].matches(kernel) {
			return &rules[i]
		}
	}
	return nil
}

// wide lists 16-byte loads from and stores to global memory.
var wide = []string{"LDG.128", "STG.128"}

// Tensor cores on bfloat16; loads of 8x8 matrices from shared memory, direct and
// transposed; 16-byte copies to it that bypass the registers.
const (
	tensorCores = "HMMA.16816.F32.BF16"
	matrices    = "LDSM.M88"
	transposed  = "LDSM.MT88"
	copies      = "LDGSTS.128"
)

var rules = []rule{
	{kernels: []string{"attend_forward_*"}, needs: []string{tensorCores, matrices, transposed, copies, "STG.128"}},
	{kernels: []string{"attend_backward_keys_*", "attend_backward_queries_*"}, needs: []string{tensorCores, matrices, transposed, copies, "STG.128"}},
	{kernels: []string{"attend_decode_[0-9]*", "attend_decode_general_*"}, needs: []string{tensorCores, matrices, transposed, copies}},
	{kernels: []string{"attend_backward_delta"}, needs: []string{"LDG.128"}},

	{kernels: []string{"gemm_nt_*"}, needs: []string{tensorCores, matrices, copies, "STG.128"}},
	{kernels: []string{"gemm_nn_*"}, needs: []string{tensorCores, matrices, transposed, copies, "STG.128"}},
	{kernels: []string{"gemm_tn_*"}, needs: []string{tensorCores, transposed, copies, "STG.128"}, never: []string{matrices}},
	{kernels: []string{"pull_[0-9]*"}, needs: []string{tensorCores, matrices, transposed, copies}},
	{kernels: []string{"gemv_coded"}, needs: []string{tensorCores, "LDG.64"}},
	{kernels: []string{"gemv_dense"}, needs: []string{tensorCores, "LDG.128"}},
	{kernels: []string{"row_norms_rows"}, needs: []string{"LDG.128", "LDS.128"}},
	{kernels: []string{"gemm_add_pieces"}, needs: wide},

	{kernels: []string{"activate_*", "add_all", "add_kept", "clamp_*", "norm_[0-9]*", "norm_general_*", "norm_rope_[0-9]*", "norm_next_*", "extend_[0-9]*", "norm_backward_[0-9]*", "norm_backward_general_*", "rope_halves", "rope_interleaved", "embed_eights", "embed_gradient_eights"}, needs: wide},
	{kernels: []string{"cross_entropy_*", "copy_words_16", "scale_rows_eights", "gather_rows_eights", "scale_columns_bf16", "scale_columns_f32", "optimize_*"}, needs: wide},
	{kernels: []string{"copy_f32_bf16", "copy_f32_f16", "copy_bf16_f32", "copy_f16_f32", "copy_bf16_f16", "copy_f16_bf16"}, needs: wide},
	// 4 bytes of codes a lane, so that a warp writes whole lines: decode.cu.
	{kernels: []string{"decode_bf16", "decode_bf16_columns"}, needs: []string{"STG.128"}},
	{kernels: []string{"sum_pieces_*", "square_pieces", "quantize_[0-9]*"}, needs: []string{"LDG.128"}},

	// Matrices whose rows do not start at multiples of 16 bytes, or whose elements do
	// not fill them: correct, not fast.
	{kernels: []string{"*_elements", "copy_words_[124]", "rope_pairs", "quantize_bytes"}},
	// 8-byte sums and 4-byte gradients of lists of tensors, once in a micro-batch.
	{kernels: []string{"fold_pieces", "unfold_pieces", "round_pieces"}},
	// Partial sums of adapters, which stay in the L2 cache.
	{kernels: []string{"pull_join"}},
	// One number per row or column, or for all of them: too little data for the width
	// of accesses to matter.
	{kernels: []string{"add_loss_stats", "sum_log_probs", "compare_completions", "policy_gradient", "check_values", "sum_join", "join_squares", "mean_scale", "nest_scales", "attend_decode_join", "attend_backward_sinks"}},
}
