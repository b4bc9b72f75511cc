package main

import "fmt"

// A shape is what a model's config.json says of its layers: Llama's.
type shape struct {
	hidden, intermediate, layers int
	heads, kvHeads, headDim      int
	vocabulary                   int
}

var shapes = map[string]shape{
	"llama-3.1-8b":  {4096, 14336, 32, 32, 8, 128, 128256},
	"llama-3.1-70b": {8192, 28672, 80, 64, 8, 128, 128256},
	"llama-3.2-1b":  {2048, 8192, 16, 32, 8, 64, 128256},
	"llama-3.2-3b":  {3072, 8192, 28, 24, 8, 128, 128256},
	"mistral-7b":    {4096, 14336, 32, 32, 8, 128, 32768},
	"smollm2-135m":  {576, 1536, 30, 9, 3, 64, 49152},
}

// A linear is a projection with a weight [out, in].
type linear struct {
	name    string
	out, in int
}

func (s shape) linears() []linear {
	q, kv := s.heads*s.headDim, s.kvHeads*s.headDim
	return []linear{
		{"q", q, s.hidden},
		{"k", kv, s.hidden},
		{"v", kv, s.hidden},
		{"o", s.hidden, q},
		{"gate", s.intermediate, s.hidden},
		{"up", s.intermediate, s.hidden},
		{"down", s.hidden, s.intermediate},
	}
}

// stacks returns the layer's projections, those of one input together.
func (s shape) stacks() [][]linear {
	all := s.linears()
	return [][]linear{all[:3], all[3:4], all[4:6], all[6:]}
}

// A batch is what a step computes.
type batch struct {
	tokens, sequence, rank int
	recompute              string
}

func (b batch) check() error {
	switch {
	case b.tokens < 257 || b.tokens > 1<<20:
		return fmt.Errorf("-tokens %d is not from 257, where weights are decoded, to %d", b.tokens, 1<<20)
	case b.sequence < 1 || b.sequence > b.tokens:
		return fmt.Errorf("-sequence %d is not from 1 to the %d tokens", b.sequence, b.tokens)
	case b.rank < 1 || b.rank > 1024:
		return fmt.Errorf("-rank %d is not from 1 to 1024", b.rank)
	case b.recompute != "none" && b.recompute != "mlp" && b.recompute != "layer":
		return fmt.Errorf("-recompute %s is not none, mlp or layer", b.recompute)
	}
	return nil
}
