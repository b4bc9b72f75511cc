// Package chat renders a conversation as a model's prompt, by the chat template of its folder.
package chat

import (
	"slices"
	"strings"

	"qlora/internal/chattemplate"
	"qlora/tokenizer"
)

// A Message is one turn of a conversation.
type Message struct {
	Role    string // "system", "user", "assistant", or another one that the template knows
	Content string
}

// Folder returns the folder that holds the chat template for the model: the adapter's folder if
// it has a template, because the adapter was trained with it, else the model's. Adapter may be
// "". It returns an error if a folder cannot be read.
func Folder(model, adapter string) (string, error) {
	if adapter != "" {
		f, err := chattemplate.OpenFolder(adapter)
		if err != nil || f.Has() && len(f.Tokens) > 0 {
			return adapter, err
		}
	}
	_, err := chattemplate.OpenFolder(model)
	return model, err
}

// A Template turns conversations into tokens. It must not be used by several goroutines at
// once.
type Template struct {
	template *chattemplate.Chat
	encoder  *tokenizer.Encoder
	stop     []int32
}

// Open reads the template of a folder. Choice is "" for the folder's own template, or a file,
// the name of one of the folder's templates, or a built-in family of templates such as
// "chatml".
func Open(folder, choice string, tok *tokenizer.Tokenizer) (*Template, error) {
	f, err := chattemplate.OpenFolder(folder)
	if err != nil {
		return nil, err
	}
	template, err := chattemplate.NewChat(f, choice)
	if err != nil {
		return nil, err
	}
	t := &Template{template: template, encoder: tok.NewEncoder(), stop: slices.Clone(f.Ends)}
	// The first special token with which the template closes a turn is the one the model was
	// trained to end with.
	for _, id := range t.encoder.Encode(nil, strings.TrimSpace(template.Closing()), false) {
		if tok.Special(id) {
			t.stop = append(t.stop, id)
			break
		}
	}
	return t, nil
}

// Stop returns the tokens that end the model's turn. Callers must not modify it.
func (t *Template) Stop() []int32 { return t.stop }

// Prompt returns the tokens of a conversation up to the start of the model's turn.
func (t *Template) Prompt(conversation []Message) ([]int32, error) {
	var v chattemplate.Conversation
	for _, said := range conversation {
		m := chattemplate.NewDict()
		m.Set("role", said.Role)
		m.Set("content", said.Content)
		v.Messages = append(v.Messages, m)
	}
	made, err := t.template.Render(&v, true)
	if err != nil {
		return nil, err
	}
	return t.encoder.Encode(nil, made.Text, false), nil
}
