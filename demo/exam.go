package main

import (
	"context"
	"slices"
	"strings"

	"qlora/bindings"
	"qlora/demo/town"
	"qlora/lora"
	"qlora/nn"
	"qlora/tokenizer"
	"qlora/trainer"
)

// longestAnswer is in tokens; a right answer is a word and the end of the text.
const longestAnswer = 12

// A candidate is a model that answers questions.
type candidate struct {
	description *trainer.Model
	tok         *tokenizer.Tokenizer
	dev         bindings.Device
	memory      *bindings.Memory
	model       *nn.Model
	stop        []int32
}

// openCandidate loads the model in the folder dir, with its linear layers in 4 bits and an adapter on it where these are asked for. The tokenizer is that
// of the folder tokens.
func openCandidate(dev bindings.Device, tokens, dir string, in4Bit bool, adapter string) (_ *candidate, err error) {
	c := &candidate{dev: dev, memory: bindings.NewMemory()}
	if c.description, err = trainer.OpenModel(dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if in4Bit {
		c.description.LoadIn4Bit()
	}
	if c.tok, err = tokenizer.LoadFolder(tokens); err != nil {
		return nil, err
	}
	base := c.description.Base
	c.model, err = nn.New(c.description.Config, base, nn.Options{Quantize: c.description.Quantize}, c.memory, dev.Info())
	if err != nil {
		return nil, err
	}
	var adapters *lora.Adapters
	if adapter != "" {
		config, err := lora.ReadConfig(adapter)
		if err != nil {
			return nil, err
		}
		if adapters, err = lora.Attach(c.model, c.memory, config); err != nil {
			return nil, err
		}
	}
	c.stop = slices.Clone(c.description.Config.EOS)
	c.model.Prepare(dev, nn.Shapes{Generate: 64})
	if err := c.memory.Commit(dev); err != nil {
		return nil, err
	}
	if err := c.model.Load(dev, base, nil); err != nil {
		return nil, err
	}
	if adapters != nil {
		return c, adapters.Load(dev, adapter)
	}
	return c, nil
}

func (c *candidate) close() {
	c.memory.Close()
	c.description.Close()
}

// answer completes the prompt with the likeliest tokens.
func (c *candidate) answer(ctx context.Context, encoder *tokenizer.Encoder, prompt string) (string, error) {
	ids := encoder.Encode(c.tok.Prefix(), prompt, false)
	var answer []int32
	_, err := c.model.Generate(ctx, c.dev, ids, longestAnswer, nn.Sampling{}, c.stop, func(id int32) bool {
		answer = append(answer, id)
		return true
	})
	return c.tok.Decode(answer, true), err
}

// exam is the answers to questions, in their order.
type exam struct {
	questions []town.Record
	answers   []string
}

// examine asks every question. The model is loaded for it and let go again.
func examine(ctx context.Context, dev bindings.Device, tokens, dir string, in4Bit bool, adapter string, questions []town.Record) (*exam, error) {
	c, err := openCandidate(dev, tokens, dir, in4Bit, adapter)
	if err != nil {
		return nil, err
	}
	defer c.close()
	e := &exam{questions: questions}
	encoder := c.tok.NewEncoder()
	for _, q := range questions {
		answer, err := c.answer(ctx, encoder, q.Prompt)
		if err != nil {
			return nil, err
		}
		e.answers = append(e.answers, answer)
	}
	return e, nil
}

// right counts the answers that are the expected word and nothing else, white space at the ends aside.
func (e *exam) right() int {
	n := 0
	for i, q := range e.questions {
		if strings.TrimSpace(e.answers[i]) == strings.TrimSpace(q.Completion) {
			n++
		}
	}
	return n
}

// accuracy is the part of the answers that are right.
func (e *exam) accuracy() float64 { return float64(e.right()) / float64(len(e.questions)) }
