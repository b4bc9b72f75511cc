package main

import (
	"fmt"
	"slices"
	"strings"
)

// counted lists the instructions that the table counts in each kernel: tensor-core
// products, loads of matrices from shared memory, copies to it that bypass the
// registers, and 16-byte loads from and stores to global memory. For the main loop it
// counts what a warp executes in one pass, the quotient of that and the products among it,
// and what it moves through shared memory.
var counted = []string{"HMMA.16816", "LDSM", "LDGSTS", "LDG.128", "STG.128"}

// format returns the table: one row for each kernel and target.
func format(compiler string, kernels []kernel, code machineCode) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Made by make cuda-check UPDATE=1 with nvcc %s: what ptxas gave each kernel, the blocks that fit a multiprocessor, instructions.\n", compiler)
	columns := append([]string{"kernel", "target", "threads", "registers", "stack", "shared", "blocks", "occupancy"}, counted...)
	fmt.Fprintln(&b, strings.Join(append(columns, "executed", "its HMMA", "per HMMA", "its LDSM", "its LDGSTS"), "\t"))
	for _, k := range kernels {
		for _, t := range targets {
			c := code[t.name][k.symbol]
			if c == nil {
				continue
			}
			shared := k.shared + t.staticShared(c)
			blocks := t.blocksResident(k.threads, c.registers, shared)
			fmt.Fprintf(&b, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d%%", k.name, t.name, k.threads, c.registers, c.stack, shared, blocks, t.occupancy(k.threads, blocks))
			for _, pattern := range counted {
				fmt.Fprintf(&b, "\t%d", c.count(pattern))
			}
			loop := c.mainLoop(movesOf(k.name))
			fmt.Fprintf(&b, "\t%d\t%d\t%.2f\t%d\t%d\n", len(loop.executed), loop.products, loop.perProduct(), count(loop.executed, "LDSM"), count(loop.executed, "LDGSTS"))
		}
	}
	return b.String()
}

// compare returns the rows that differ, and a description of the comparison. A table
// of another compiler version is not compared, because its code differs.
func compare(committed, made string) (differences []string, compared string) {
	have, want := strings.Split(strings.TrimSpace(committed), "\n"), strings.Split(strings.TrimSpace(made), "\n")
	if have[0] != want[0] {
		return nil, fmt.Sprintf("the table is of another compiler and is not compared (its header: %q)", have[0])
	}
	for _, row := range have {
		if !slices.Contains(want, row) {
			differences = append(differences, "- "+row)
		}
	}
	for _, row := range want {
		if !slices.Contains(have, row) {
			differences = append(differences, "+ "+row)
		}
	}
	return differences, "the table agrees"
}
