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

// ceilings are a few per cent above what the compiler makes of today's code for the worst
// target.
var ceilings = []ceiling{
	{kernels: []string{"gemm_nt_128x256"}, most: 3.2},
	{kernels: []string{"gemm_nn_128x256"}, most: 3.4},
	{kernels: []string{"gemm_tn_128x256"}, most: 3.6},
}
