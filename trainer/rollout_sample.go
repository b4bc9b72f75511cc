package trainer

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"qlora/bindings"
	"qlora/internal/philox"
	"qlora/nn"
)

// A drawn is a sampled completion.
type drawn struct {
	IDs   []int32
	Ended bool // by a stop token, its last; else cut
}

// streamCompletions tells the random numbers of completions from those of dropout and adapters.
const streamCompletions = 0x6770726f

// completionSeed returns the seed of a completion: of which generation, or evaluation after so
// many steps, and its place in it.
func completionSeed(seed uint64, evaluation bool, number, place int) uint64 {
	kind := uint32(streamCompletions)
	if evaluation {
		kind++
	}
	r := philox.Block([2]uint32{uint32(seed), uint32(seed >> 32)}, [4]uint32{uint32(number), uint32(place), kind})
	return uint64(r[0])<<32 | uint64(r[1])
}

// complete samples a completion of each prompt. They are computed together, as many as a pass
// of the device has rows; each draws its own random numbers, so that on the CPU it does not depend
// on the others.
func (r *loop) complete(ctx context.Context, prompts [][]int32, seed func(i int) uint64, tell func(done int)) ([]drawn, error) {
	d := r.layout.Model.NewDecoder(r.Device)
	defer d.Close()
	all := make([]drawn, len(prompts))
	var active []*completing
	next, done := 0, 0
	for next < len(prompts) || len(active) > 0 {
		if err := r.halted(ctx, 0); err != nil {
			return nil, err
		}
		for next < len(prompts) && len(active) < r.Args.together(r.Device.Info()) {
			s, err := d.Begin(prompts[next], r.Args.MaxCompletionLength, nil)
			if err != nil {
				return nil, err
			}
			if s == nil {
				break
			}
			active = append(active, &completing{seq: s, to: &all[next], prompt: prompts[next], sampler: nn.NewSampler(r.Args.sampling(seed(next)))})
			next++
		}
		sequences := make([]*nn.Sequence, len(active))
		for i, c := range active {
			sequences[i] = c.seq
		}
		if err := d.Extend(sequences...); err != nil {
			return nil, err
		}
		var wait sync.WaitGroup
		for _, c := range active {
			if c.seq.Pending() == 0 {
				wait.Go(func() { c.draw(&r.Args, r.Rollouts.Stop) })
			}
		}
		wait.Wait()
		left := active[:0]
		for _, c := range active {
			switch {
			case c.err != nil:
				return nil, c.err
			case c.to.Ended || len(c.to.IDs) == r.Args.MaxCompletionLength:
				d.End(c.seq)
				done++
				tell(done)
			default:
				left = append(left, c)
			}
		}
		active = left
	}
	return all, nil
}

// together returns how many completions are computed together.
func (a *Args) together(info bindings.Info) int {
	return min(max(1, info.FewRows), max(a.generationBatch()/a.World(), a.EvalBatchSize))
}

// sampling returns how tokens are drawn.
func (a *Args) sampling(seed uint64) nn.Sampling {
	s := nn.Sampling{Temperature: a.Temperature, TopK: a.TopK, TopP: a.TopP, Seed: seed}
	if a.MinP != nil {
		s.MinP = *a.MinP
	}
	return s
}

// A completing is a completion that is being sampled.
type completing struct {
	seq     *nn.Sequence
	to      *drawn
	prompt  []int32
	sampler *nn.Sampler
	err     error
}

// draw appends the next token.
func (c *completing) draw(a *Args, stop []int32) {
	logits := c.seq.Logits()
	if a.RepetitionPenalty != 1 {
		penalize(logits, float32(a.RepetitionPenalty), c.prompt, c.to.IDs)
	}
	var id int32
	if id, c.err = c.sampler.Next(logits, len(c.to.IDs)); c.err != nil {
		c.err = fmt.Errorf("sampling completions: %w", c.err)
		return
	}
	c.to.IDs, c.to.Ended = append(c.to.IDs, id), slices.Contains(stop, id)
	c.seq.Append(id)
}

// penalize divides the positive logits of tokens that occur in texts by penalty, and multiplies the
// others, as transformers does.
func penalize(logits []float32, penalty float32, texts ...[]int32) {
	seen := map[int32]bool{}
	for _, text := range texts {
		for _, id := range text {
			if seen[id] {
				continue
			}
			seen[id] = true
			if logits[id] > 0 {
				logits[id] /= penalty
			} else {
				logits[id] *= penalty
			}
		}
	}
}
