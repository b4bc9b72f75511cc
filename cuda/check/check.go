package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// checkKernels compares the kernels that the library lists with the machine code in
// it, and checks each by its rule. It returns the findings.
func checkKernels(kernels []kernel, code machineCode, rules []rule) []string {
	var findings []string
	found := func(format string, args ...any) { findings = append(findings, fmt.Sprintf(format, args...)) }

	if len(kernels) == 0 {
		found("the library lists no kernels")
	}
	listed := make(map[string]string)
	names := make(map[string]bool)
	for _, k := range kernels {
		if other, twice := listed[k.symbol]; twice {
			found("%s and %s are registered as the same kernel, %s", other, k.name, k.symbol)
		}
		if names[k.name] {
			found("%s is registered twice", k.name)
		}
		listed[k.symbol], names[k.name] = k.name, true
		r := ruleOf(k.name, rules)
		if r == nil {
			found("%s has no rule for its instructions (rules.go)", k.name)
			continue
		}
		for _, t := range targets {
			c := code[t.name][k.symbol]
			if c == nil {
				found("%s has no machine code for %s", k.name, t.name)
				continue
			}
			for _, trouble := range checkKernel(k, t, c, r) {
				found("%s on %s: %s", k.name, t.name, trouble)
			}
		}
	}
	for _, t := range targets {
		for _, symbol := range slices.Sorted(maps.Keys(code[t.name])) {
			if listed[symbol] == "" {
				found("%s on %s is not registered (see REGISTER_KERNEL)", symbol, t.name)
			}
		}
	}
	for _, r := range rules {
		if !slices.ContainsFunc(kernels, func(k kernel) bool { return r.matches(k.name) }) {
			found("the rule of %s matches no kernel (rules.go)", strings.Join(r.kernels, ", "))
		} else if r.stack != "" && !slices.ContainsFunc(kernels, func(k kernel) bool { return r.matches(k.name) && code.stack(k.symbol) > 0 }) {
			found("the rule of %s allows a stack, but none has one (rules.go)", strings.Join(r.kernels, ", "))
		}
	}
	return findings
}

// checkKernel returns the findings about a kernel on one target.
func checkKernel(k kernel, t target, c *kernelCode, r *rule) []string {
	var findings []string
	found := func(format string, args ...any) { findings = append(findings, fmt.Sprintf(format, args...)) }

	if frame := c.stack + c.local; frame > 0 && r.stack == "" {
		found("%d bytes of stack, with %d loads and %d stores", frame, c.count("LDL"), c.count("STL"))
	}
	if shared := k.shared + t.staticShared(c); shared > t.sharedBlock<<10 {
		found("%d bytes of shared memory, more than the %d that a block can have", shared, t.sharedBlock<<10)
	} else if t.blocksResident(k.threads, c.registers, shared) == 0 {
		found("%d threads of %d registers do not fit a multiprocessor", k.threads, c.registers)
	}
	for _, pattern := range r.needs {
		if c.count(pattern) == 0 {
			found("no %s", pattern)
		}
	}
	for _, pattern := range r.never {
		if n := c.count(pattern); n > 0 {
			found("%d %s", n, pattern)
		}
	}
	if trouble := checkLoop(k.name, c.mainLoop(movesOf(k.name)), ceilings); trouble != "" {
		found("%s", trouble)
	}
	return findings
}

// staticShared returns the bytes of shared memory that the kernel itself declares.
func (t target) staticShared(c *kernelCode) int { return max(0, c.shared-t.systemShared) }

// stack returns the kernel's largest stack on any target, in bytes.
func (m machineCode) stack(symbol string) int {
	most := 0
	for _, kernels := range m {
		if c := kernels[symbol]; c != nil {
			most = max(most, c.stack+c.local)
		}
	}
	return most
}
