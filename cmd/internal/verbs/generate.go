package verbs

import (
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"qlora/cmd/internal/exit"
	"qlora/cmd/internal/options"
	"qlora/nn"
	"qlora/nn/quantize"
)

// generateOptions are those of generate besides the model.
type generateOptions struct {
	Prompt      string  `option:"prompt" help:"text to complete"`
	MaxNew      int     `option:"max_new_tokens" unit:"tokens" help:"longest completion"`
	Temperature float64 `option:"temperature" help:"above 0: draw tokens, the flatter the higher; 0: take the likeliest"`
	TopP        float64 `option:"top_p" help:"draw from the likeliest tokens that make up this probability"`
	TopK        int     `option:"top_k" unit:"tokens" help:"draw from so many of the likeliest; 0: all"`
	Seed        uint64  `option:"seed" help:"seed of the draws"`
}

// Generate is the verb that completes a text.
func Generate() *cobra.Command {
	model := inferOptions{}
	own := generateOptions{MaxNew: 128, TopP: 1, Seed: 42}
	how, machine := quantize.DefaultOptions(), machine{Device: "auto"}
	set := options.New()
	set.Add("Model", &model)
	set.Add("Generation", &own)
	set.Add("4-bit base", &how)
	set.Add("Machine", &machine)
	return verb("generate", "completes a prompt and prints the new text alone", set, func(c *call) error {
		if err := own.check(c); err != nil {
			return err
		}
		r, err := model.open(c, machine, how)
		if err != nil {
			return err
		}
		defer r.close()
		return own.generate(c, r, model.Adapter)
	})
}

func (o *generateOptions) check(c *call) error {
	switch {
	case !c.set.Given("prompt"):
		return exit.Wrongf("--prompt is missing: give the text to complete")
	case !utf8.ValidString(o.Prompt):
		return exit.Wrongf("--prompt is not UTF-8")
	case o.MaxNew < 1:
		return exit.Wrongf("--max_new_tokens is %d, but it must be at least 1", o.MaxNew)
	case o.Temperature < 0:
		return exit.Wrongf("--temperature is %v, but it must be 0 or more", o.Temperature)
	case !(o.TopP > 0 && o.TopP <= 1):
		return exit.Wrongf("--top_p is %v, but it must be above 0 and at most 1", o.TopP)
	case o.TopK < 0 || o.TopK > math.MaxInt32:
		return exit.Wrongf("--top_k is %d, but it must be 0 or more", o.TopK)
	}
	return nil
}

func (o *generateOptions) generate(c *call, r *inference, adapter string) error {
	config := r.base.Config
	prompt := r.tok.NewEncoder().Encode(r.tok.Prefix(), o.Prompt, false)
	if len(prompt) == 0 {
		return exit.Wrongf("--prompt has no tokens; this model needs at least one to begin with")
	}
	for _, id := range prompt {
		if int(id) >= config.Vocabulary {
			return exit.Wrongf("the tokenizer gives the prompt token %d, but the model's vocabulary has %d entries; use the model's own tokenizer", id, config.Vocabulary)
		}
	}
	most := o.MaxNew
	if left := config.MaxPositions - len(prompt); config.MaxPositions > 0 && most > left {
		if left < 1 {
			return exit.Wrongf("--prompt has %d tokens, but the model was made for %d at most", len(prompt), config.MaxPositions)
		}
		c.note(fmt.Sprintf("at most %d new tokens: the model was made for %d in all", left, config.MaxPositions))
		most = left
	}
	if err := r.load(nn.Shapes{Generate: len(prompt) + most}, adapter); err != nil {
		return err
	}
	stop := slices.Clone(config.EOS)
	if id, ok := r.tok.EOS(); ok {
		stop = append(stop, id)
	}
	// How the first new token looks may depend on the prompt's last ones.
	text := r.tok.NewStream()
	for _, id := range prompt {
		text.Push(id)
	}
	sampling := nn.Sampling{Temperature: o.Temperature, TopK: o.TopK, TopP: o.TopP, Seed: o.Seed}
	_, err := r.model.Generate(c, r.dev, prompt, most, sampling, stop, func(id int32) bool {
		_, err := fmt.Fprint(c.out, text.Push(id))
		return err == nil
	})
	fmt.Fprintln(c.out, text.Flush())
	return err
}
