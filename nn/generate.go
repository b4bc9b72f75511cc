package nn

import (
	"context"
	"fmt"
	"slices"

	"qlora/bindings"
)

// Sampling says how the next token is chosen from the logits.
type Sampling struct {
	Temperature float64 // 0: the likeliest token (greedy)
	TopK        int     // only the k likeliest; 0: all
	TopP        float64 // only the likeliest that add up to p; 1: all
	Seed        uint64
}

// Generate extends prompt by up to most tokens, and calls emit for each as it
// comes; emit returning false ends it, and so do stop tokens (not emitted), the
// planned length, and ctx. It returns how many tokens were emitted.
func (m *Model) Generate(ctx context.Context, dev bindings.Device, prompt []int32, most int, s Sampling, stop []int32, emit func(int32) bool) (int, error) {
	longest := m.generate
	if len(prompt) == 0 {
		return 0, fmt.Errorf("the prompt has no tokens; this model needs at least one to begin with")
	}
	if len(prompt)+most > longest {
		return 0, fmt.Errorf("%d prompt tokens and %d new ones are more than the %d planned for", len(prompt), most, longest)
	}
	c := m.newCache(longest)
	defer c.close()
	sampler := newSampler(s, m.Config.Vocabulary)
	raw := make([]byte, c.logits.Bytes())
	logits := make([]float32, m.Config.Vocabulary)
	next := prompt
	for n := range most {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		if err := m.extend(dev, c, next); err != nil {
			return n, err
		}
		if err := c.read(dev, raw, logits); err != nil {
			return n, err
		}
		id, err := sampler.next(logits, n)
		if err != nil {
			return n, err
		}
		if slices.Contains(stop, id) {
			return n, nil
		}
		if !emit(id) {
			return n + 1, nil
		}
		next = []int32{id}
	}
	return most, nil
}
