package dataset

import (
	"slices"

	"qlora/internal/chattemplate"
)

// messages are conversations in transformers' form, {"role", "content"}, with optional
// tools and tool calls.
var messages = chatFormat("messages", "messages")

// sharegpt is the same under ShareGPT's names, {"from", "value"}, with a separate system
// text.
var sharegpt = chatFormat("sharegpt", "conversations")

func chatFormat(name, field string) format {
	return format{
		name:    name,
		fields:  []string{field},
		example: func(w *worker, r record) (Example, error) { return w.conversationOf(r, field) },
	}
}

// conversationOf returns the example of a field of messages.
func (w *worker) conversationOf(r record, field string) (Example, error) {
	v, only, err := r.conversation(field)
	if err != nil {
		return Example{}, err
	}
	if err := r.addSystem(v, &only); err != nil {
		return Example{}, err
	}
	return w.chat(v, only)
}

// addSystem begins a conversation with the record's system text, if it has one and no
// system message of its own. only, if not nil, holds the messages' lessons.
func (r *record) addSystem(v *chattemplate.Conversation, only *lessons) error {
	system, err := r.system()
	if err != nil || system == "" {
		return err
	}
	if first, _ := v.Messages[0].Get("role"); first == "system" {
		if contentOf(v.Messages[0]) != system {
			r.lose(r.systemField())
		}
		return nil
	}
	v.Messages = slices.Insert(v.Messages, 0, said("system", system))
	if only != nil {
		*only = only.insert(0)
	}
	return nil
}

// system returns the record's system text, or "".
func (r *record) system() (string, error) {
	name := r.systemField()
	if name == "" {
		return "", nil
	}
	return r.text(name)
}

// systemField returns the field of a system text that is not blank, or "".
func (r *record) systemField() string {
	for _, name := range []string{"system", "system_prompt"} {
		if r.present(name) && !r.isBlank(name) {
			return name
		}
	}
	return ""
}
