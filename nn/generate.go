package nn

import (
	"context"
	"fmt"
	"slices"

	"qlora/bindings"
)

// Sampling configures how the next token is chosen from the logits. The zero value
// is greedy.
type Sampling struct {
	Temperature float64 // 0: the most likely token (greedy)
	TopK        int     // the k most likely tokens; 0: all
	TopP        float64 // the most likely tokens whose probabilities sum to p; 1: all
	Seed        uint64
}

// Generate extends prompt by up to most tokens and calls emit for each. It ends when
// emit returns false, at a stop token (which is not emitted), at the planned length,
// or when ctx is done. It returns the number of tokens emitted.
func (m *Model) Generate(ctx context.Context, dev bindings.Device, prompt []int32, most int, s Sampling, stop []int32, emit func(int32) bool) (int, error) {
	longest := m.generate
	if len(prompt) == 0 {
		return 0, fmt.Errorf("the prompt has no tokens; it needs at least one")
	}
	if len(prompt)+most > longest {
		return 0, fmt.Errorf("%d prompt tokens and %d new tokens exceed the planned length of %d", len(prompt), most, longest)
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
