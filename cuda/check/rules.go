package main

import "path"

// A rule says what the machine code of some kernels must have and must not have.
type rule struct {
	kernels []string // names, with * for any part of one
	needs   []string // instructions without which it is not the kernel that was written
	never   []string // instructions that it has no business with
	stack   string   // why it may have a stack; "": it may not
	why     string   // where it is not plain
}

func (r *rule) matches(kernel string) bool {
	for _, pattern := range r.kernels {
		if ok, _ := path.Match(pattern, kernel); ok {
			return true
		}
	}
	return false
}

// ruleOf is the first rule of a kernel.
func ruleOf(kernel string, rules []rule) *rule {
	for i := range rules {
		if rules[i].matches(kernel) {
			return &rules[i]
		}
	}
	return nil
}

// Instructions: tensor cores on bfloat16, loads of 8x8 matrices from shared memory, copies to it that pass by the registers, loads and stores of 16 bytes.
var (
	tensorCores = []string{"HMMA.16816.F32.BF16", "LDSM.M88", "LDGSTS.128"}
	wide        = []string{"LDG.128", "STG.128"}
)

var rules = []rule{
	{kernels: []string{"gate_*"}, needs: wide},
}
