// Plans writes docs/plans.md: the GPU memory that QLoRA needs on the shapes of
// public models, planned to the byte by the code that trains. No weights are needed.
//
//	go run ./bench/plans >docs/plans.md
package main

import (
	"fmt"
	"io"
	"log"
	"os"

	"qlora/bindings"
	"qlora/bindings/cuda"
	"qlora/trainer"
)

// The planned run.
const (
	rank  = 16
	short = 512  // tokens
	long  = 2048 // tokens
)

// gpus are sizes of memory that cards have, in GiB, and one that has each.
var gpus = []struct {
	gib  float64
	name string
}{
	{8, "RTX 4060"},
	{12, "RTX 4070"},
	{16, "RTX 4080"},
	{24, "RTX 4090"},
	{32, "RTX 5090"},
	{48, "L40S"},
	{80, "A100, H100"},
	{96, "RTX PRO 6000"},
	{141, "H200"},
	{180, "B200"},
}

// reserve estimates the memory of driver, context and kernels on a card, in GiB.
const reserve = 0.75

func main() {
	log.SetFlags(0)
	if err := write(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func write(w io.Writer) error {
	fmt.Fprintf(w, `# What fits which GPU

Planned by the code that trains, walked on a device that only counts: QLoRA (NF4, double quantization), rank %d on all linear layers, AdamW with
moments in float32, one sequence, recompute %s. Written by %s; not measured on a GPU.
Bytes by category for one sequence of %d tokens, then the peaks. "Smallest GPU" is the smallest common card that holds the run with %.2f GiB left
for driver and kernels (an estimate).

| model | parameters | %s | %s | adapters | gradients | optimizer | activations | workspace | loss | inputs |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
`, rank, "`layer`", "`go run ./bench/plans`", short, reserve, "`weights_4bit`", "`weights_dense`")
	type peak struct {
		name        string
		short, long bindings.MemoryPlan
	}
	var peaks []peak
	for _, s := range shapes {
		atShort, parameters, err := plan(s, short)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		atLong, _, err := plan(s, long)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Fprintf(w, "| %s | %.1f B", s.name, float64(parameters)/1e9)
		for _, c := range bindings.Categories {
			if c == bindings.Reference || c.Gathered() { // of preferences, and of several GPUs
				continue
			}
			fmt.Fprintf(w, " | %d", atShort[c])
		}
		fmt.Fprintln(w, " |")
		peaks = append(peaks, peak{s.name, atShort, atLong})
	}
	fmt.Fprintf(w, "\n| model | peak, %d tokens | smallest GPU | peak, %d tokens | smallest GPU |\n|---|--:|---|--:|---|\n", short, long)
	for _, p := range peaks {
		fmt.Fprintf(w, "| %s | %.2f GiB | %s | %s | %s |\n", p.name, gib(p.short), smallest(p.short), size(p.long), smallest(p.long))
	}
	return writeContexts(w)
}

func gib(p bindings.MemoryPlan) float64 { return float64(p.Total()) / (1 << 30) }

func size(p bindings.MemoryPlan) string {
	if p == nil {
		return "–"
	}
	return fmt.Sprintf("%.2f GiB", gib(p))
}

// smallest returns the smallest card that holds p.
func smallest(p bindings.MemoryPlan) string {
	if p == nil {
		return "longer than its context"
	}
	for _, g := range gpus {
		if gib(p)+reserve <= g.gib {
			return fmt.Sprintf("%.0f GB (%s)", g.gib, g.name)
		}
	}
	return "none: several GPUs"
}

// plan returns the bytes of a run and the model's parameters; nil bytes where the
// model's context is shorter than a sequence.
func plan(s shape, tokens int) (bindings.MemoryPlan, int64, error) {
	model, args, err := run(s.name)
	if err != nil {
		return nil, 0, err
	}
	if model.Config.MaxPositions < tokens {
		return nil, 0, nil
	}
	p, err := trainer.PlanRun(model, args, nil, nil, nil, tokens, cuda.Profile(), 0)
	if err != nil {
		return nil, 0, err
	}
	base, err := model.Assemble(cuda.Profile().Info())
	if err != nil {
		return nil, 0, err
	}
	var parameters int64
	for _, t := range base.Model.Tensors() {
		n := int64(1)
		for _, size := range t.Shape {
			n *= int64(size)
		}
		parameters += n
	}
	return p.Bytes, parameters, nil
}
