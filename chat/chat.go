// Package chat renders a conversation as a model's prompt, by the chat template of its folder.
package chat

import (
	"encoding/json"
	"errors"
	"fmt"
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
	closing  string // the text that ends a turn, without blanks around it
	end      int32  // the token that ends a turn; -1: none
}

// Open reads the template of a folder. Choice is "" for the folder's own template, or a file,
// the name of one of the folder's templates, or a built-in family of templates such as
// "chatml".
func Open(folder, choice string, tok *tokenizer.Tokenizer) (*Template, error) {
	f, err := chattemplate.OpenFolder(folder)
	if err != nil {
		return nil, err
	}
	f.Name(tok.SpecialTokens())
	template, err := chattemplate.NewChat(f, choice)
	if err != nil {
		return nil, err
	}
	t := &Template{template: template, encoder: tok.NewEncoder(), closing: strings.TrimSpace(template.Closing()), end: -1}
	ids := t.encoder.Encode(nil, t.closing, false)
	// The first special token with which the template closes a turn is the one the model was
	// trained to end with.
	if first := slices.IndexFunc(ids, tok.Special); first >= 0 {
		t.end = ids[first]
	} else if len(ids) == 1 && tok.Token(ids[0]) == t.closing {
		t.end = ids[0]
	}
	return t, nil
}

// End returns the token with which the template ends a turn; false if that is no token, or if
// the template's text after a turn depends on what follows.
func (t *Template) End() (int32, bool) { return t.end, t.end >= 0 }

// Warning returns a sentence that says where generation stops if the template ends a turn with
// a text that is not a token, and "" otherwise. stop are the names of the tokens at which
// generation stops.
func (t *Template) Warning(stop []string) string {
	if t.end >= 0 || t.closing == "" && len(stop) > 0 {
		return ""
	}
	how := fmt.Sprintf("with %q, which is not a token of the tokenizer", t.closing)
	if t.closing == "" {
		how = "without a token"
	}
	where := "only at the maximum length"
	if len(stop) > 0 {
		where = "only at " + strings.Join(stop, ", ") + " and at the maximum length"
	}
	return fmt.Sprintf("%s ends a turn %s: generation stops %s", t.template.Name, how, where)
}

// Prompt returns the tokens of a conversation up to the start of the model's turn.
func (t *Template) Prompt(conversation []Message) ([]int32, error) {
	var v chattemplate.Conversation
	for _, said := range conversation {
		m := chattemplate.NewDict()
		m.Set("role", said.Role)
		m.Set("content", said.Content)
		v.Messages = append(v.Messages, m)
	}
	return t.prompt(&v)
}

// A Request is a conversation as clients of OpenAI's API give it, in JSON. Null and absent
// are the same.
type Request struct {
	Messages  []json.RawMessage // objects with a role, content, and maybe tool calls
	Tools     json.RawMessage   // a list of the functions that the model may call
	Variables json.RawMessage   // an object with more variables of the template, such as enable_thinking
}

// PromptOf returns the tokens of a conversation up to the start of the model's turn. The
// error is about the request.
func (t *Template) PromptOf(r *Request) ([]int32, error) {
	var v chattemplate.Conversation
	for i, raw := range r.Messages {
		m, err := decoded[*chattemplate.Dict](raw)
		if err != nil || m == nil {
			return nil, fmt.Errorf("messages[%d] is not an object", i)
		}
		v.Messages = append(v.Messages, m)
	}
	var err error
	if v.Tools, err = decoded[*chattemplate.List](r.Tools); err != nil {
		return nil, errors.New("tools is not a list")
	}
	if v.Tools != nil && len(v.Tools.Items()) == 0 {
		v.Tools = nil
	}
	more, err := decoded[*chattemplate.Dict](r.Variables)
	if err != nil {
		return nil, errors.New("chat_template_kwargs is not an object")
	}
	if more != nil {
		v.More = map[string]any{}
		for name, value := range more.All() {
			v.More[name.(string)] = value
		}
	}
	return t.prompt(&v)
}

// decoded returns a JSON value as a template's; the zero value for null and for no text.
func decoded[T any](raw json.RawMessage) (T, error) {
	var none T
	if len(raw) == 0 {
		return none, nil
	}
	v, err := chattemplate.Decode(raw)
	if err != nil || v == nil {
		return none, err
	}
	x, ok := v.(T)
	if !ok {
		return none, errors.New("of another type")
	}
	return x, nil
}

func (t *Template) prompt(v *chattemplate.Conversation) ([]int32, error) {
	if _, err := t.template.Fit(v); err != nil {
		return nil, err
	}
	made, err := t.template.Render(v, true)
	if err != nil {
		return nil, err
	}
	return t.encoder.Encode(nil, made.Text, false), nil
}
