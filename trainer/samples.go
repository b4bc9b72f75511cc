package trainer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"qlora/nn"
	"qlora/option"
)

// Prompts are completed greedily at every evaluation, to show what the losses mean in
// text.
type Prompts struct {
	List   []Prompt
	Tokens int                         // maximum length of a completion
	Stop   []int32                     // tokens that end a completion
	Decode func(tokens []int32) string // text without special tokens
}

// A Prompt is a text to complete.
type Prompt struct {
	Text     string
	IDs      []int32
	Expected string // the record's completion; "": none
}

// A Sample is a line of samples.jsonl.
type Sample struct {
	Step       int    `json:"step"`
	Epoch      Number `json:"epoch"`
	Prompt     string `json:"prompt"`
	Completion string `json:"completion"`
	Expected   string `json:"expected,omitempty"`
	// Reward is the weighed sum of a sampled completion's rewards; nil: it was not judged.
	Reward *Number `json:"reward,omitempty"`
}

// longest returns the maximum length of a prompt and its completion, in tokens.
func (s *Prompts) longest() int {
	if s == nil {
		return 0
	}
	longest := 0
	for _, p := range s.List {
		longest = max(longest, len(p.IDs)+s.Tokens)
	}
	return longest
}

// check returns an error if the prompts are invalid.
func (s *Prompts) check(a *Args, c *nn.Config) error {
	if s == nil {
		return nil
	}
	if a.EvalStrategy == StrategyNo {
		return errors.New("`sample_prompts` is set, but samples are generated at evaluations and the run has none: give `eval_dataset` or `val_size`, and no `eval_strategy` no")
	}
	if s.Tokens < 1 {
		return option.Errorf("sample_tokens", s.Tokens, "it must be at least 1")
	}
	if s.Decode == nil {
		return errors.New("Prompts.Decode is nil, so samples cannot be decoded")
	}
	for i, p := range s.List {
		if len(p.IDs) == 0 {
			return fmt.Errorf("prompt %d for samples has no tokens; the model needs at least one", i+1)
		}
		if err := nn.CheckIDs(p.IDs, c.Vocabulary); err != nil {
			return fmt.Errorf("prompt %d for samples: %w", i+1, err)
		}
	}
	if longest := s.longest(); c.MaxPositions > 0 && longest > c.MaxPositions {
		return fmt.Errorf("a sample has up to %d tokens, but the model has %d positions: choose shorter prompts or a smaller `sample_tokens`", longest, c.MaxPositions)
	}
	return nil
}

// sample returns the completions of the rank's prompts. Decoding is greedy, so it consumes no random numbers.
func (r *loop) sample(ctx context.Context) ([]Sample, error) {
	if r.Prompts == nil {
		return nil, nil
	}
	var all []Sample
	for i, p := range r.Prompts.List {
		of := ctx
		if r.sharded() { // all ranks complete each prompt, because each needs the parts of all
			if err := r.halted(ctx, 0); err != nil {
				return nil, err
			}
			of = context.WithoutCancel(ctx)
		} else if !r.mine(i) {
			continue
		}
		r.outputs.Work(Work{What: "generating samples", Done: int64(i), Total: int64(len(r.Prompts.List))})
		var ids []int32
		_, err := r.layout.Model.Generate(of, r.Device, p.IDs, r.Prompts.Tokens, nn.Sampling{}, r.Prompts.Stop, func(id int32) bool {
			ids = append(ids, id)
			return true
		})
		if err != nil {
			return nil, fmt.Errorf("generating samples after step %d: %w", r.at.Step, err)
		}
		if r.mine(i) {
			all = append(all, Sample{
				Step: r.at.Step, Epoch: r.state.Epoch, Prompt: p.Text, Completion: r.Prompts.completion(p.IDs, ids), Expected: p.Expected,
			})
		}
	}
	return all, nil
}

// completion returns the generated text. The text of its first token may depend on the
// prompt's last tokens.
func (s *Prompts) completion(prompt, generated []int32) string {
	before := s.Decode(prompt)
	if text, ok := strings.CutPrefix(s.Decode(slices.Concat(prompt, generated)), before); ok {
		return text
	}
	return s.Decode(generated)
}
