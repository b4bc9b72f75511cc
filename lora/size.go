package lora

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// A Size describes the adapter on one module, with patterns and rank-stabilized
// scaling resolved.
type Size struct {
	Module string // "model.layers.0.self_attn.q_proj"
	R      int
	Scale  float32 // of the adapter's output
}

// Sizes returns the adapters that c puts on a model, in the order of m.Linear.
// c.Targets must be resolved. Of a configuration from ReadConfig, entries that match no
// module have no effect, as in PEFT; of any other they are errors.
func (c *Config) Sizes(m ModuleNames) ([]Size, error) {
	if c.read {
		c = c.matching(m)
	}
	picked, err := c.pick(m)
	if err != nil {
		return nil, err
	}
	ranks, err := c.RankPattern.numbers("rank_pattern", picked, c.read)
	if err != nil {
		return nil, err
	}
	alphas, err := c.AlphaPattern.numbers("alpha_pattern", picked, c.read)
	if err != nil {
		return nil, err
	}
	sizes := make([]Size, len(picked))
	for i, name := range picked {
		r, alpha := c.R, c.Alpha
		if own, ok := ranks[name]; ok {
			r = int(own)
		}
		if own, ok := alphas[name]; ok {
			alpha = own
		}
		sizes[i] = Size{Module: name, R: r, Scale: scale(alpha, r, c.RSLoRA)}
	}
	return sizes, nil
}

// matching returns c without the names of Targets and Exclude, and the Layers, that match no
// module of m.
func (c *Config) matching(m ModuleNames) *Config {
	left := *c
	all := slices.Concat(m.Linear, m.Other)
	matched := func(names []string) []string {
		return slices.DeleteFunc(slices.Clone(names), func(target string) bool {
			return !slices.ContainsFunc(all, func(name string) bool { return isTarget(name, target) })
		})
	}
	if names := matched(c.Targets.Names); len(names) > 0 { // else Match returns the error
		left.Targets.Names = names
	}
	left.Exclude.Names = matched(c.Exclude.Names)
	layers := slices.DeleteFunc(slices.Clone(c.Layers), func(n int) bool {
		part := "." + strconv.Itoa(n) + "."
		return !slices.ContainsFunc(all, func(name string) bool { return strings.Contains(name, part) })
	})
	if len(layers) > 0 { // else pick returns the error
		left.Layers = layers
	}
	return &left
}

// scale returns the factor of an adapter's output: alpha/r, or alpha/sqrt(r) with
// rank-stabilized LoRA (Kalajdzievski 2023, arXiv 2312.03732).
func scale(alpha float64, r int, stabilized bool) float32 {
	if stabilized {
		return float32(alpha / math.Sqrt(float64(r)))
	}
	return float32(alpha / float64(r))
}
