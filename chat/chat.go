// Package chat writes a conversation as a model's prompt, by the chat template of its
// folder.
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

// Folder returns the folder whose template a conversation with the model is written
// by: the adapter's where it has one, for that is what it was trained with, else the
// model's. Adapter may be "". A folder that cannot be read is an error.
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

// A Template turns conversations into tokens. It is for one goroutine.
type Template struct {
	template *chattemplate.Chat
	encoder  *tokenizer.Encoder
	stop     []int32
}

// Open reads the template of a folder. Choice is "" for the folder's own, or a file,
// the name of one of the folder's templates, or a family of templates that come with
// the program, as "chatml".
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
	// The first special token that the template closes a turn with is what the
	// model was taught to end with.
	for _, id := range t.encoder.Encode(nil, strings.TrimSpace(template.Closing()), false) {
		if tok.Special(id) {
			t.stop = append(t.stop, id)
			break
		}
	}
	return t, nil
}

// Stop returns the tokens that end the model's turn. It is shared: not to be changed.
func (t *Template) Stop() []int32 { return t.stop }

// Prompt returns the tokens of a conversation, up to where the model's turn begins.
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
