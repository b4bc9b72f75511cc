// Command model prints the modelled time of a QLoRA training step on a GPU, kernel by
// kernel:
//
//	go run ./bench/model -gpu h100 -model llama-3.1-8b
//
// Nothing in it is measured. Times follow from four counts: a kernel's bytes at the GPU's
// copy rate, its FLOPs at the rate of mma.sync, the instructions that its main loop
// executes (cuda/resources.tsv, counted in the machine code), and the waves of its blocks.
// gpu.go, product.go and step.go have the constants, with where they come from.
//
// The column "before" is the same model with the counts and the parts of weights of an
// earlier commit, recorded in before.tsv.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "model:", err)
		os.Exit(1)
	}
}

func run(arguments []string, out io.Writer) error {
	flags := flag.NewFlagSet("model", flag.ContinueOnError)
	gpuName := flags.String("gpu", "h100", "one of "+names(gpus))
	modelName := flags.String("model", "llama-3.1-8b", "one of "+names(shapes))
	b := batch{}
	flags.IntVar(&b.tokens, "tokens", 8192, "tokens of a micro-batch, which is the step")
	flags.IntVar(&b.sequence, "sequence", 2048, "tokens of a sequence")
	flags.IntVar(&b.rank, "rank", 16, "rank of the adapters, which all projections have")
	flags.StringVar(&b.recompute, "recompute", "none", "none, mlp or layer")
	resources := flags.String("resources", "cuda/resources.tsv", "the table of make cuda-check")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	g, known := gpus[*gpuName]
	if !known {
		return fmt.Errorf("-gpu %s is not known; use one of %s", *gpuName, names(gpus))
	}
	s, known := shapes[*modelName]
	if !known {
		return fmt.Errorf("-model %s is not known; use one of %s", *modelName, names(shapes))
	}
	if err := b.check(); err != nil {
		return err
	}
	now, err := readCounts(*resources)
	if err != nil {
		return err
	}
	before, err := parseCounts("before.tsv", strings.NewReader(recorded))
	if err != nil {
		return err
	}
	first, err := step(setup{gpu: g, counts: before, part: partBefore, group: groupBefore, tile: tileBefore, apart: true}, s, b)
	if err != nil {
		return err
	}
	last, err := step(setup{gpu: g, counts: now, part: partWithin(math.MaxInt), group: group}, s, b)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "modelled, not measured: a step of %s with %d tokens in sequences of %d on %s, rank %d, recompute %s\n\n", *modelName, b.tokens, b.sequence, g.name, b.rank, b.recompute)
	if err := print(out, g, b, first, last); err != nil {
		return err
	}
	if err := printCopies(out, setup{gpu: g, counts: now, group: group}, s, b); err != nil {
		return err
	}
	return last.offload(s, b).print(out, last.seconds())
}

func names[V any](m map[string]V) string {
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}
