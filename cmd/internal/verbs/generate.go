package verbs

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"qlora/cmd/internal/exit"
	"qlora/cmd/internal/options"
	"qlora/nn"
	"qlora/nn/quantize"
)

// generateOptions are the options of generate, without those of the model.
type generateOptions struct {
	Prompt       string  `option:"prompt" help:"text to complete, or message to answer"`
	Chat         bool    `option:"chat" help:"format the prompt with the chat template; without --prompt, chat on a terminal or read standard input"`
	System       string  `option:"system" help:"system message of the chat"`
	ChatTemplate string  `option:"chat_template" path:"true" help:"chat template, as for train; default: the adapter's or the model's own"`
	MaxNew       int     `option:"max_new_tokens" unit:"tokens" help:"maximum length of the completion"`
	Temperature  float64 `option:"temperature" help:"sampling temperature; 0: greedy"`
	TopP         float64 `option:"top_p" help:"nucleus sampling: sample from the most likely tokens whose probabilities sum to this"`
	TopK         int     `option:"top_k" unit:"tokens" help:"sample from this many of the most likely tokens; 0: all"`
	Seed         uint64  `option:"seed" help:"seed of sampling"`
}

// Generate returns the verb that completes a text.
func Generate() *cobra.Command {
	model := inferOptions{}
	own := generateOptions{MaxNew: 128, TopP: 1, Seed: 42}
	how, machine := quantize.DefaultOptions(), defaultMachine()
	set := options.New()
	set.Add("Model", &model)
	set.Add("Generation", &own)
	set.Add("4-bit base", &how)
	set.Add("Machine", &machine)
	return verb("generate", "complete a prompt, or chat, and print the new text", set, func(c *call) error {
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
		stop, err := r.base.Ends(r.tok, nil)
		if err != nil {
			return exit.AsWrong(err)
		}
		_, err = own.complete(c, r, r.tok.NewEncoder().EncodePrompt(own.Prompt), stop)
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
	case o.Temperature == 0:
		c.noEffect("without --temperature", c.given("top_p", "top_k"))
	}
	return nil
}

// complete prints the completion of the prompt's tokens and returns it.
func (o *generateOptions) complete(c *call, r *inference, prompt, stop []int32) (string, error) {
	config := r.base.Config
	if len(prompt) == 0 {
		return "", exit.Wrongf("--prompt has no tokens; this model needs at least one")
	}
	most := o.MaxNew
	if left := config.MaxPositions - len(prompt); config.MaxPositions > 0 && most > left {
		if left < 1 {
			return "", exit.Wrongf("--prompt has %d tokens, but the model has %d positions", len(prompt), config.MaxPositions)
		}
		c.note(fmt.Sprintf("at most %d new tokens: the model has %d positions", left, config.MaxPositions))
		most = left
	}
	if err := r.plan(len(prompt) + most); err != nil {
		return "", err
	}
	return o.stream(c, r, prompt, most, stop)
}

// stream prints the new text token by token and returns it.
func (o *generateOptions) stream(c *call, r *inference, prompt []int32, most int, stop []int32) (string, error) {
	if err := r.known(prompt); err != nil {
		return "", err
	}
	// The text of the first new token may depend on the prompt's last tokens.
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
