package nn

import (
	"context"
	"slices"

	"qlora/bindings"
)

// Sampling configures how the next token is chosen from the logits. The zero value
// is greedy.
type Sampling struct {
	Temperature float64 // 0: the most likely token (greedy)
	TopK        int     // the k most likely tokens; 0: all
	TopP        float64 // the most likely tokens whose probabilities sum to p; 1: all
	MinP        float64 // tokens at least this share as likely as the most likely one; 0: all
	Seed        uint64
}

// Generate extends prompt by up to most tokens and calls emit for each. It ends when
// emit returns false, at a stop token (which is not emitted), at the planned length,
// or when ctx is done. It returns the number of tokens emitted.
func (m *Model) Generate(ctx context.Context, dev bindings.Device, prompt []int32, most int, s Sampling, stop []int32, emit func(int32) bool) (int, error) {
	d := m.NewDecoder(dev)
	defer d.Close()
	seq, err := d.Begin(prompt, most, nil)
	if err != nil {
		return 0, err
	}
	sampler := NewSampler(s)
	for n := range most {
		for seq.Pending() > 0 {
			if err := ctx.Err(); err != nil {
				return n, err
			}
			if err := d.Extend(seq); err != nil {
				return n, err
			}
		}
		id, err := sampler.Next(seq.Logits(), n)
		if err != nil {
			return n, err
		}
		if slices.Contains(stop, id) {
			return n, nil
		}
		if !emit(id) {
			return n + 1, nil
		}
		seq.Append(id)
	}
	return most, nil
}
