package main

import "fmt"

// A ceiling is the most instructions that the main loop of some kernels may execute for
// each tensor-core product, on any target. What is no product takes issue slots and time
// between products, so an address that is computed anew in each pass must not go unseen.
type ceiling struct {
	kernels []string // names; * matches any part
	most    float64
}

// checkLoop returns what is wrong with a kernel's main loop, or "".
func checkLoop(kernel string, l loop, ceilings []ceiling) string {
	if l.products == 0 {
		return ""
	}
	for _, c := range ceilings {
		if !(&rule{kernels: c.kernels}).matches(kernel) {
			continue
		}
		if l.perProduct() > c.most {
			return fmt.Sprintf("its main loop executes %.2f instructions for each product (%d for %d), more than %.2f", l.perProduct(), len(l.executed), l.products, c.most)
		}
		return ""
	}
	return "its main loop has no ceiling (ceilings.go)"
}

// ceilings are a few per cent above what the compiler makes of the code for the worst target.
var ceilings = []ceiling{
	// Products. The two largest tiles carry a training step; thin tiles are bound by memory.
	{kernels: []string{"gemm_nt_128x256"}, most: 3.2},
	{kernels: []string{"gemm_nn_128x256"}, most: 3.4},
	{kernels: []string{"gemm_tn_128x256"}, most: 3.6},
	{kernels: []string{"gemm_nt_128x128", "gemm_nn_128x128", "gemm_tn_128x128"}, most: 3.8},
	{kernels: []string{"gemm_nt_64x64", "gemm_nn_64x64", "gemm_tn_64x64"}, most: 5.2},
	{kernels: []string{"gemm_nt_16x128", "gemm_nn_16x128", "gemm_tn_16x128"}, most: 8.2},
	{kernels: []string{"gemm_nt_64x16", "gemm_nn_64x16", "gemm_tn_64x16"}, most: 12.3},

	// Gradients of adapters: bound by the bytes of one gradient of an output.
	{kernels: []string{"pull_16"}, most: 17},
	{kernels: []string{"pull_32"}, most: 8.5},

	// With codes that are decoded in the loop, and addresses computed in it
	// (gemm_instances.cuh): few tokens, bound by the weight's bytes.
	{kernels: []string{"gemm_*_coded_128x256"}, most: 8.9},
	{kernels: []string{"gemm_*_coded_128x128"}, most: 11.4},
	{kernels: []string{"gemm_*_coded_64x64"}, most: 18.6},
	{kernels: []string{"gemm_*_coded_16x128"}, most: 39},

	// Attention. A score costs an exponential and some more, whatever the head's width, so
	// that narrow heads have fewer products for as many.
	{kernels: []string{"attend_forward_256"}, most: 3.8},
	{kernels: []string{"attend_forward_128"}, most: 4.3},
	{kernels: []string{"attend_forward_96"}, most: 4.4},
	{kernels: []string{"attend_forward_64"}, most: 5},
	{kernels: []string{"attend_forward_32"}, most: 6.5},
	{kernels: []string{"attend_backward_keys_256"}, most: 4.5},
	{kernels: []string{"attend_backward_keys_128"}, most: 3.9},
	{kernels: []string{"attend_backward_keys_96"}, most: 4.4},
	{kernels: []string{"attend_backward_keys_64"}, most: 4.5},
	{kernels: []string{"attend_backward_keys_32"}, most: 5.4},
	{kernels: []string{"attend_backward_queries_256"}, most: 3.9},
	{kernels: []string{"attend_backward_queries_128"}, most: 3.6},
	{kernels: []string{"attend_backward_queries_96"}, most: 3.9},
	{kernels: []string{"attend_backward_queries_64"}, most: 4.2},
	{kernels: []string{"attend_backward_queries_32"}, most: 5.2},

	// Its general instances, and generation, which read more than they multiply.
	{kernels: []string{"attend_forward_general_256", "attend_forward_general_128", "attend_forward_general_96"}, most: 11.5},
	{kernels: []string{"attend_forward_general_64", "attend_forward_general_32"}, most: 22.5},
	{kernels: []string{"attend_backward_*_general_256", "attend_backward_*_general_128", "attend_backward_*_general_96"}, most: 10},
	{kernels: []string{"attend_backward_*_general_64", "attend_backward_*_general_32"}, most: 22.5},
	{kernels: []string{"attend_decode_*"}, most: 55},
	{kernels: []string{"gemv_*"}, most: 34},
}
