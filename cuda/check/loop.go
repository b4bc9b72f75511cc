package main

import (
	"cmp"
	"slices"
	"strings"
)

// product is the tensor-core instruction for a product of matrices, and moves lists the
// instructions that bring tiles of its operands: loads of matrices from shared memory,
// copies and stores to it.
const product = "HMMA"

var moves = []string{"LDSM", "LDGSTS", "STS"}

// A loop is a kernel's main loop as a warp executes it.
type loop struct {
	executed []instruction // one pass of the common path, in order
	products int           // tensor-core products among them
}

// perProduct returns the instructions executed for each product; 0 without a main loop.
func (l loop) perProduct() float64 {
	if l.products == 0 {
		return 0
	}
	return float64(len(l.executed)) / float64(l.products)
}

// mainLoop returns the loop with most of a kernel's products: of the innermost loops with
// such products, the one with the most on its common path, and of several such the one
// that executes least: operands that are not aligned or that are masked have a loop of
// their own.
func (k *kernelCode) mainLoop() loop {
	type span struct{ start, end int }
	var spans []span // by their ends, so an inner loop comes before its outer one
	for end, branch := range k.instructions {
		if branch.isBranch() && branch.target <= branch.address {
			if start, ok := k.at(branch.target); ok {
				spans = append(spans, span{start, end})
			}
		}
	}
	var main loop
	var inner []span // with products
	for _, s := range spans {
		if slices.ContainsFunc(inner, func(i span) bool { return s.start < i.start && i.end < s.end }) {
			continue
		}
		l := k.commonPath(s.start, s.end)
		if l.products == 0 {
			continue
		}
		inner = append(inner, s)
		if l.products > main.products || l.products == main.products && len(l.executed) < len(main.executed) {
			main = l
		}
	}
	return main
}

// commonPath returns the path through the instructions from start that ends with the
// branch back to it, at or before end: the one with the most products, of these with the
// most moves of tiles, and of these with the fewest instructions. That is the path of
// whole tiles: it skips what only masks, edges and rare events need. Code in branches
// back (an inner loop) counts once.
func (k *kernelCode) commonPath(start, end int) loop {
	// what executes from an instruction to the end of the path
	type rest struct {
		products, moves, executed int
		next                      int // the following instruction; -1: the path ends
		ok                        bool
	}
	better := func(a, b rest) bool {
		return a.ok && (!b.ok || cmp.Or(cmp.Compare(a.products, b.products), cmp.Compare(a.moves, b.moves), cmp.Compare(b.executed, a.executed)) > 0)
	}
	rests := make([]rest, end-start+1)
	for at := end; at >= start; at-- {
		i := k.instructions[at]
		var best rest
		follow := func(next int) {
			var r rest
			if next == start {
				r = rest{ok: true, next: -1}
			} else if at < next && next <= end {
				r, r.next = rests[next-start], next
			}
			if better(r, best) {
				best = r
			}
		}
		if i.isBranch() {
			if target, ok := k.at(i.target); ok {
				follow(target)
			}
		}
		if !i.ends() {
			follow(at + 1)
		}
		if best.ok {
			best.executed++
			best.products += count([]instruction{i}, product)
			for _, move := range moves {
				best.moves += count([]instruction{i}, move)
			}
		}
		rests[at-start] = best
	}
	l := loop{products: rests[0].products}
	if l.products == 0 {
		return loop{}
	}
	for at := start; at >= 0; at = rests[at-start].next {
		l.executed = append(l.executed, k.instructions[at])
	}
	return l
}

// at returns the index of the instruction at an address.
func (k *kernelCode) at(address int) (int, bool) {
	return slices.BinarySearchFunc(k.instructions, address, func(i instruction, address int) int { return i.address - address })
}

// isBranch reports whether i may continue at its target.
func (i instruction) isBranch() bool {
	return i.operation == "BRA" || strings.HasPrefix(i.operation, "BRA.")
}

// ends reports whether the next instruction never follows i.
func (i instruction) ends() bool {
	if i.conditional {
		return false
	}
	name, _, _ := strings.Cut(i.operation, ".")
	return slices.Contains([]string{"BRA", "BRX", "EXIT", "JMP", "RET"}, name)
}
