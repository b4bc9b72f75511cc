package main

import (
	"context"
	"slices"

	"qlora/bindings"
	"qlora/chat"
	"qlora/lora"
	"qlora/nn"
	"qlora/tokenizer"
	"qlora/trainer"
)

const (
	together      = 8  // answers that are sampled in one pass
	longestPrompt = 96 // in tokens
)

// A model answers prompts.
type model struct {
	base     *trainer.Base
	dev      bindings.Device
	tok      *tokenizer.Tokenizer
	template *chat.Template // nil: it continues texts
	tuned    *lora.Tuned
	stop     []int32
}

// open loads the model in 4 bits, with an adapter unless that is "".
func open(dev bindings.Device, o options, adapter string) (_ *model, err error) {
	m := &model{dev: dev}
	if m.base, err = base(o); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			m.close()
		}
	}()
	if m.tok, err = tokenizer.LoadFolder(o.model); err != nil {
		return nil, err
	}
	if t, err := chat.Open(o.model, "", m.tok); err == nil {
		m.template = t
	}
	if m.stop, err = m.base.Ends(m.tok, m.template); err != nil {
		return nil, err
	}
	if adapter != "" {
		if err = m.base.UseAdapter(adapter); err != nil {
			return nil, err
		}
	}
	m.tuned, err = m.base.Load(dev, nn.Shapes{Generate: longestPrompt + o.tokens, Together: nn.Together{Sequences: together}})
	return m, err
}

func (m *model) close() {
	if m.tuned != nil {
		m.tuned.Close()
	}
	m.base.Close()
}

// An answer is a sampled text.
type answer struct {
	text   string
	tokens int  // with the end
	ended  bool // else it was cut at the longest
}

// length returns the number of tokens; one that was cut has one more.
func (a answer) length() int {
	if a.ended {
		return a.tokens
	}
	return a.tokens + 1
}

// encode returns the tokens of a prompt.
func (m *model) encode(prompt string) ([]int32, error) {
	if m.template == nil {
		return m.tok.NewEncoder().EncodePrompt(prompt), nil
	}
	return m.template.Prompt([]chat.Message{{Role: "user", Content: prompt}})
}

// A drawing is an answer that is being sampled.
type drawing struct {
	*nn.Sequence
	sampler *nn.Sampler
	ids     []int32
	into    *answer
}

// next draws the next token, and reports whether the answer goes on.
func (d *drawing) next(m *model, most int) (bool, error) {
	id, err := d.sampler.Next(d.Logits(), len(d.ids))
	if err != nil {
		return false, err
	}
	d.into.tokens++
	if d.into.ended = slices.Contains(m.stop, id); !d.into.ended {
		d.ids = append(d.ids, id)
		d.Append(id)
	}
	return !d.into.ended && d.into.tokens < most, nil
}

// answers samples several answers to each prompt. They depend only on the model, the prompt and its index, and the options.
func answers(ctx context.Context, m *model, prompts []string, o options) ([][]answer, error) {
	all := make([][]answer, len(prompts))
	for i := range all {
		all[i] = make([]answer, o.samples)
	}
	decoder := m.tuned.Model.NewDecoder(m.dev)
	defer decoder.Close()
	var active []*drawing
	for i := 0; i < len(prompts)*o.samples || len(active) > 0; {
		for len(active) < together && i < len(prompts)*o.samples {
			ids, err := m.encode(prompts[i/o.samples])
			if err != nil {
				return nil, err
			}
			s, err := decoder.Begin(ids, o.tokens, nil)
			if err != nil {
				return nil, err
			}
			if s == nil { // the room that ended answers left is in pieces
				break
			}
			sampler := nn.NewSampler(nn.Sampling{Temperature: o.temperature, TopP: 1, Seed: o.seed<<32 + uint64(i)})
			active = append(active, &drawing{Sequence: s, sampler: sampler, into: &all[i/o.samples][i%o.samples]})
			i++
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var sequences []*nn.Sequence
		for _, d := range active {
			sequences = append(sequences, d.Sequence)
		}
		if err := decoder.Extend(sequences...); err != nil {
			return nil, err
		}
		var left []*drawing
		for _, d := range active {
			goes, err := d.next(m, o.tokens)
			if err != nil {
				return nil, err
			}
			if goes {
				left = append(left, d)
				continue
			}
			d.into.text = m.tok.Decode(d.ids, true)
			decoder.End(d.Sequence)
		}
		active = left
	}
	return all, nil
}
