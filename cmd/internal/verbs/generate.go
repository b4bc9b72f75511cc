package verbs

import (
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"qlora/cmd/internal/exit"
	"qlora/cmd/internal/options"
	"qlora/nn"
	"qlora/nn/quantize"
)

// generateOptions are those of generate besides the model.
type generateOptions struct {
	Prompt       string  `option:"prompt" help:"text to complete, or message to answer"`
	Chat         bool    `option:"chat" help:"answer the prompt by the chat template; without a prompt answer what is typed, or what standard input holds"`
	System       string  `option:"system" help:"what the chat's system message says"`
	ChatTemplate string  `option:"chat_template" help:"how the chat is written, as for train; default: the adapter's or the model's own"`
	MaxNew       int     `option:"max_new_tokens" unit:"tokens" help:"longest completion"`
	Temperature  float64 `option:"temperature" help:"above 0: draw tokens, the flatter the higher; 0: take the likeliest"`
	TopP         float64 `option:"top_p" help:"draw from the likeliest tokens that make up this probability"`
	TopK         int     `option:"top_k" unit:"tokens" help:"draw from so many of the likeliest; 0: all"`
	Seed         uint64  `option:"seed" help:"seed of the draws"`
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
	return verb("generate", "completes a prompt, or answers it as a chat, and prints the new text alone", set, func(c *call) error {
		if err := own.check(c); err != nil {
			return err
		}
		r, err := model.open(c, machine, how)
		if err != nil {
			return err
		}
		defer r.close()
		if own.Chat {
			return own.chat(c, r)
		}
		_, err = own.complete(c, r, r.tok.NewEncoder().Encode(r.tok.Prefix(), own.Prompt, false), r.base.Ends(r.tok))
		return err
	})
}

func (o *generateOptions) check(c *call) error {
	switch {
	case !o.Chat && (o.System != "" || o.ChatTemplate != ""):
		return exit.Wrongf("--system and --chat_template are for chats: add --chat")
	case !c.set.Given("prompt") && !o.Chat:
		return exit.Wrongf("--prompt is missing: give the text to complete")
	case !utf8.ValidString(o.Prompt) || !utf8.ValidString(o.System):
		return exit.Wrongf("--prompt or --system is not UTF-8")
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

// complete prints what the model goes on with after the prompt's tokens, and
// gives it.
func (o *generateOptions) complete(c *call, r *inference, prompt, stop []int32) (string, error) {
	config := r.base.Config
	if len(prompt) == 0 {
		return "", exit.Wrongf("--prompt has no tokens; this model needs at least one to begin with")
	}
	most := o.MaxNew
	if left := config.MaxPositions - len(prompt); config.MaxPositions > 0 && most > left {
		if left < 1 {
			return "", exit.Wrongf("--prompt has %d tokens, but the model was made for %d at most", len(prompt), config.MaxPositions)
		}
		c.note(fmt.Sprintf("at most %d new tokens: the model was made for %d in all", left, config.MaxPositions))
		most = left
	}
	if err := r.plan(len(prompt) + most); err != nil {
		return "", err
	}
	return o.stream(c, r, prompt, most, stop)
}

// stream prints the new text as it comes.
func (o *generateOptions) stream(c *call, r *inference, prompt []int32, most int, stop []int32) (string, error) {
	if err := r.known(prompt); err != nil {
		return "", err
	}
	// How the first new token looks may depend on the prompt's last ones.
	text := r.tok.NewStream()
	for _, id := range prompt {
		text.Push(id)
	}
	var answer strings.Builder
	out := io.MultiWriter(c.out, &answer)
	sampling := nn.Sampling{Temperature: o.Temperature, TopK: o.TopK, TopP: o.TopP, Seed: o.Seed}
	_, err := r.Model.Generate(c, r.dev, prompt, most, sampling, stop, func(id int32) bool {
		_, err := fmt.Fprint(out, text.Push(id))
		return err == nil
	})
	fmt.Fprint(out, text.Flush())
	fmt.Fprintln(c.out)
	return answer.String(), err
}
