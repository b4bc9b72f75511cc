package dataset

import (
	"slices"

	"qlora/internal/chattemplate"
)

// A prompt and its completion, under the names used by datasets: texts, or the two parts
// of a conversation. Only a question and its answer are joined by a newline, which
// belongs to the prompt.
var (
	promptCompletion = pairFormat("prompt", "completion", "")
	inputOutput      = pairFormat("input", "output", "")
	questionAnswer   = pairFormat("question", "answer", "\n")
)

func pairFormat(prompt, completion, join string) format {
	return format{
		name:   "prompt-completion",
		fields: []string{prompt, completion},
		choice: true,
		example: func(w *worker, r record) (Example, error) {
			if r.isList(prompt) && r.isList(completion) {
				return w.conversations(r, prompt, completion)
			}
			before, err := r.text(prompt)
			if err != nil {
				return Example{}, err
			}
			after, err := r.text(completion)
			if err != nil {
				return Example{}, err
			}
			if w.opt.ApplyChat {
				return w.asked(r, before, after)
			}
			return w.pair(before+join, after)
		},
	}
}

// asked returns the example of a question and its answer as a chat.
func (w *worker) asked(r record, question, answer string) (Example, error) {
	v := &chattemplate.Conversation{}
	system, err := r.system()
	if err != nil {
		return Example{}, err
	}
	if system != "" {
		v.Messages = append(v.Messages, said("system", system))
	}
	v.Messages = append(v.Messages, said("user", question), said("assistant", answer))
	return w.chat(v, nil)
}

// conversations returns the example of a prompt and a completion that are lists of
// messages.
func (w *worker) conversations(r record, prompt, completion string) (Example, error) {
	before, _, err := r.conversation(prompt)
	if err != nil {
		return Example{}, err
	}
	after, _, err := r.conversation(completion)
	if err != nil {
		return Example{}, err
	}
	whole := *before
	whole.Messages = slices.Concat(before.Messages, after.Messages)
	return w.chatPair(before, &whole)
}
