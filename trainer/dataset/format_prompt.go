package dataset

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"qlora/internal/chattemplate"
)

// promptAlone is a prompt without a completion, a text or messages. All fields of the record
// stay with the example, for what judges its completions.
var promptAlone = format{
	name: "prompt", fields: []string{"prompt"},
	example: func(w *worker, r record) (Example, error) {
		ids, err := w.promptTokens(r)
		if err != nil {
			return Example{}, err
		}
		if len(ids) == 0 {
			return Example{}, errors.New("\"prompt\" has no tokens; a completion needs at least one before it")
		}
		if limit := w.opt.MaxLength; limit > 0 && len(ids) > limit-w.opt.Room {
			return Example{}, errLongPrompt
		}
		raw, err := r.object()
		if err != nil {
			return Example{}, err
		}
		return Example{IDs: ids, Labels: slices.Repeat([]int32{Ignored}, len(ids)), Record: raw}, nil
	},
}

// promptTokens returns the tokens of the record's prompt; of messages, rendered with the
// beginning of the answer.
func (w *worker) promptTokens(r record) ([]int32, error) {
	if !r.isList("prompt") && !w.opt.ApplyChat {
		prompt, err := r.text("prompt")
		if err != nil {
			return nil, err
		}
		if w.vocabulary == nil {
			return nil, errNoTokenizer
		}
		return w.encoder.EncodePrompt(prompt), nil
	}
	v := &chattemplate.Conversation{}
	if r.isList("prompt") {
		var err error
		if v, _, err = r.conversation("prompt"); err != nil {
			return nil, err
		}
	} else {
		prompt, err := r.text("prompt")
		if err != nil {
			return nil, err
		}
		v.Messages = []*chattemplate.Dict{said("user", prompt)}
	}
	if err := r.addSystem(v, nil); err != nil {
		return nil, err
	}
	chats, err := w.chats()
	if err != nil {
		return nil, err
	}
	if err := w.fit(chats, v, false); err != nil {
		return nil, err
	}
	made, err := chats.template.Render(v, true)
	if err != nil {
		return nil, chats.explained(v, err)
	}
	return w.encoder.Encode(nil, made.Text, false), nil
}

// object returns the record's fields as a JSON object, with its keys in order, and counts all as
// read.
func (r *record) object() ([]byte, error) {
	all := map[string]json.RawMessage{}
	for name, raw := range r.fields {
		r.use(name)
		all[name] = raw
	}
	for name, text := range r.texts {
		r.use(name)
		if all[name] != nil {
			continue
		}
		raw, err := json.Marshal(text)
		if err != nil {
			return nil, err
		}
		all[name] = raw
	}
	raw, err := json.Marshal(all)
	if err != nil {
		return nil, fmt.Errorf("the record cannot be written as JSON: %w", err)
	}
	return raw, nil
}
