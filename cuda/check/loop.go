package main

import (
	"cmp"
	"slices"
	"strings"
)

// product is the tensor-core instruction for a product of matrices.
const product = "HMMA"

// movesOf returns the instructions that bring tiles of a kernel's operands: loads of
// matrices from shared memory, and copies to it, or stores of what is decoded.
func movesOf(kernel string) []string {
	if strings.Contains(kernel, "_coded_") {
		return []string{"LDSM", "STS"}
	}
	return []string{"LDSM", "LDGSTS"}
}

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
func (k *kernelCode) mainLoop(moves []string) loop {
	var main loop
	var inner []span // with products
	spans := k.loops()
	for _, s := range spans {
		if slices.ContainsFunc(inner, func(i span) bool { return i.inside(s) }) {
			continue
		}
		l := k.commonPath(s, spans, moves)
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

// A span is the code between a branch and its earlier target, both included.
type span struct{ start, end int }

// inside reports whether s is an inner loop of outer.
func (s span) inside(outer span) bool { return outer.start < s.start && s.end < outer.end }

// loops returns the loops of a kernel by their ends, so that an inner loop comes before
// its outer one.
func (k *kernelCode) loops() []span {
	var spans []span
	for end, branch := range k.instructions {
		if branch.isBranch() && branch.target <= branch.address {
			if start, ok := k.at(branch.target); ok {
				spans = append(spans, span{start, end})
			}
		}
	}
	return spans
}

// commonPath returns the path through a loop, from its start to a branch back to it, with
// the most products, of these with the most moves of tiles, and of these with the fewest
// instructions. That is the path of whole tiles: it skips what only masks, edges and rare
// events need. An inner loop is such an event: its moves do not count.
func (k *kernelCode) commonPath(outer span, all []span, moves []string) loop {
	start, end := outer.start, outer.end
	rare := make([]bool, end-start+1)
	for _, s := range all {
		if s.inside(outer) {
			for at := s.start; at <= s.end; at++ {
				rare[at-start] = true
			}
		}
	}
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
				if !rare[at-start] {
					best.moves += count([]instruction{i}, move)
				}
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
