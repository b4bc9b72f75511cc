package trainer

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"qlora/bindings"
	"qlora/chat"
	"qlora/lora"
	"qlora/nn"
	"qlora/tokenizer"
)

// A Chat is a conversation with a model that is loaded on a device. It is not safe for
// concurrent use.
type Chat struct {
	// Said are the turns so far. The caller may put a system message first.
	Said []chat.Message
	// Sampling chooses the tokens; the zero value decodes greedily.
	Sampling nn.Sampling

	tuned      *lora.Tuned
	dev        bindings.Device
	tok        *tokenizer.Tokenizer
	template   *chat.Template
	stop       []int32
	vocabulary int
	longest    int // tokens
}

// Chat loads the base on dev with the adapter in a folder ("": none) for a
// conversation of up to longest tokens, at most the model's positions. It uses the
// chat template of the adapter's folder, if any, else the base's. The Base stays
// unchanged and open. The caller must close the Chat.
func (b *Base) Chat(dev bindings.Device, adapter string, longest int) (*Chat, error) {
	tok, err := b.tokenizer(adapter)
	if err != nil {
		return nil, err
	}
	folder, err := chat.Folder(b.Folder, adapter)
	if err != nil {
		return nil, err
	}
	template, err := chat.Open(folder, "", tok)
	if err != nil {
		return nil, err
	}
	asked := *b
	asked.Lora, asked.Adapter = nil, ""
	if adapter != "" {
		if err := asked.UseAdapter(adapter); err != nil {
			return nil, err
		}
	}
	if most := b.Config.MaxPositions; most > 0 {
		longest = min(longest, most)
	}
	stop, err := asked.Ends(tok, template)
	if err != nil {
		return nil, err
	}
	tuned, err := asked.Load(dev, nn.Shapes{Generate: longest})
	if err != nil {
		return nil, err
	}
	return &Chat{
		tuned: tuned, dev: dev, tok: tok, template: template, stop: stop,
		vocabulary: asked.Config.Vocabulary, longest: longest,
	}, nil
}

// Answer returns the model's answer to a message of the user. Unless there is an
// error, it adds both to the conversation.
func (c *Chat) Answer(ctx context.Context, message string) (string, error) {
	said := append(slices.Clip(c.Said), chat.Message{Role: "user", Content: message})
	prompt, err := c.template.Prompt(said)
	if err != nil {
		return "", err
	}
	if err := nn.CheckIDs(prompt, c.vocabulary); err != nil {
		return "", err
	}
	left := c.longest - len(prompt)
	if left < 1 {
		return "", fmt.Errorf("the conversation has %d tokens, but only %d were planned: start a new one", len(prompt), c.longest)
	}
	// The text of the first new token may depend on the prompt's last tokens.
	text := c.tok.NewStream()
	for _, id := range prompt {
		text.Push(id)
	}
	var answer strings.Builder
	if _, err := c.tuned.Model.Generate(ctx, c.dev, prompt, left, c.Sampling, c.stop, func(id int32) bool {
		answer.WriteString(text.Push(id))
		return true
	}); err != nil {
		return "", err
	}
	answer.WriteString(text.Flush())
	said = append(said, chat.Message{Role: "assistant", Content: answer.String()})
	c.Said = said
	return answer.String(), nil
}

// Close frees the model's memory; the device stays open.
func (c *Chat) Close() { c.tuned.Close() }
