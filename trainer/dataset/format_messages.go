package dataset

import "slices"

// messages are conversations in transformers' form, {"role", "content"}, with optional
// tools and tool calls.
var messages = chatFormat("messages", "messages")

// sharegpt is the same under ShareGPT's names, {"from", "value"}, with a separate system
// text.
var sharegpt = chatFormat("sharegpt", "conversations")

func chatFormat(name, field string) format {
	return format{
		name:   name,
		fields: []string{field},
		example: func(w *worker, r record) (Example, error) {
			v, only, err := r.conversation(field)
			if err != nil {
				return Example{}, err
			}
			system, err := r.system()
			if err != nil {
				return Example{}, err
			}
			if first, _ := v.Messages[0].Get("role"); system != "" && first != "system" {
				v.Messages = slices.Insert(v.Messages, 0, said("system", system))
				if only != nil {
					only = slices.Insert(only, 0, false)
				}
			}
			return w.chat(v, only)
		},
	}
}

// system returns the text of the field system, or "".
func (r *record) system() (string, error) {
	if !r.has("system") {
		return "", nil
	}
	return r.text("system")
}
