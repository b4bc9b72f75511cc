package demo

import (
	"context"
	"strings"

	"qlora/bindings"
	"qlora/demo/town"
	"qlora/lora"
	"qlora/nn"
	"qlora/tokenizer"
	"qlora/trainer"
)

// longestAnswer is the maximum length of an answer in tokens; a correct answer is one word and the end of the text.
const longestAnswer = 12

// A candidate is a model that answers questions.
type candidate struct {
	base  *trainer.Base
	tok   *tokenizer.Tokenizer
	dev   bindings.Device
	tuned *lora.Tuned
}

// openCandidate loads the model in the folder dir, with its linear layers in 4 bits if in4Bit is set and with an adapter if adapter is not empty. It loads
// the tokenizer from the folder tokens.
func openCandidate(dev bindings.Device, tokens, dir string, in4Bit bool, adapter string) (_ *candidate, err error) {
	c := &candidate{dev: dev}
	if c.base, err = trainer.OpenBase(dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if in4Bit {
		c.base.LoadIn4Bit()
	}
	if c.tok, err = tokenizer.LoadFolder(tokens); err != nil {
		return nil, err
	}
	if adapter != "" {
		if err = c.base.UseAdapter(adapter); err != nil {
			return nil, err
		}
	}
	c.tuned, err = c.base.Load(dev, nn.Shapes{Generate: 64})
	return c, err
}

func (c *candidate) close() {
	if c.tuned != nil {
		c.tuned.Close()
	}
	c.base.Close()
}

// answer completes the prompt greedily.
func (c *candidate) answer(ctx context.Context, encoder *tokenizer.Encoder, prompt string) (string, error) {
	ids := encoder.EncodePrompt(prompt)
	var answer []int32
	stop, err := c.base.Ends(c.tok, nil)
	if err != nil {
		return "", err
	}
	_, err = c.tuned.Model.Generate(ctx, c.dev, ids, longestAnswer, nn.Sampling{}, stop, func(id int32) bool {
		answer = append(answer, id)
		return true
	})
	return c.tok.Decode(answer, true), err
}

// An exam holds the answers to questions, in order.
type exam struct {
	questions []town.Record
	answers   []string
}

// examine loads a model, asks every question and closes the model.
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

// right returns the number of answers that equal the expected word, ignoring white space at the ends.
func (e *exam) right() int {
	n := 0
	for i, q := range e.questions {
		if strings.TrimSpace(e.answers[i]) == strings.TrimSpace(q.Completion) {
			n++
		}
	}
	return n
}

// accuracy returns the share of right answers.
func (e *exam) accuracy() float64 { return float64(e.right()) / float64(len(e.questions)) }
