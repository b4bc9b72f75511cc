package dataset

import (
	"slices"

	"qlora/internal/chattemplate"
)

// A prompt and its completion, under the names used by datasets: texts, or the two parts
// of a conversation. The names of tasks (a question, a problem, …) do not say that the
// completion follows the prompt directly, so a newline joins the two; it belongs to the
// prompt.
var (
	promptCompletion = pairFormat(pairFields{prompt: "prompt", completion: "completion"})
	promptResponse   = pairFormat(pairFields{prompt: "prompt", completion: "response"})
	inputOutput      = pairFormat(pairFields{prompt: "input", completion: "output"})
	questionAnswer   = pairFormat(pairFields{before: "context", optional: true, prompt: "question", completion: "answer", join: "\n"})
	// contextAnswer is the format of sql-create-context: the context is the line before
	// the question.
	contextAnswer = pairFormat(pairFields{before: "context", prompt: "question", completion: "answer", join: "\n"})
	// openOrca has a system text, which a prompt without a chat template begins with.
	openOrca         = pairFormat(pairFields{before: "system_prompt", system: true, prompt: "question", completion: "response", join: "\n"})
	questionResponse = pairFormat(pairFields{before: "system_prompt", optional: true, system: true, prompt: "question", completion: "response", join: "\n"})
	problemSolution  = pairFormat(pairFields{prompt: "problem", completion: "solution", join: "\n"})
	queryResponse    = pairFormat(pairFields{prompt: "query", completion: "response", join: "\n"})
	inputsTargets    = pairFormat(pairFields{prompt: "inputs", completion: "targets", join: "\n"})
)

// pairFields names the fields of a prompt and its completion.
type pairFields struct {
	before             string // a text before the prompt; "" for none
	optional           bool   // before may be missing in a file's first record
	system             bool   // before is a chat's system text
	prompt, completion string
	join               string // ends the prompt, and before
}

func pairFormat(f pairFields) format {
	fields := []string{f.prompt, f.completion}
	if f.before != "" && !f.optional {
		fields = slices.Insert(fields, 0, f.before)
	}
	return format{
		name:   "prompt-completion",
		fields: fields,
		choice: true,
		example: func(w *worker, r record) (Example, error) {
			if r.isList(f.prompt) && r.isList(f.completion) {
				return w.conversations(r, f.prompt, f.completion)
			}
			prompt, err := r.text(f.prompt)
			if err != nil {
				return Example{}, err
			}
			completion, err := r.text(f.completion)
			if err != nil {
				return Example{}, err
			}
			before := ""
			if f.before != "" && r.has(f.before) {
				if before, err = r.text(f.before); err != nil {
					return Example{}, err
				}
			}
			switch {
			case w.opt.ApplyChat && f.system && before != "":
				return w.askedAs(before, prompt, completion)
			case before != "":
				prompt = before + f.join + prompt
			}
			if w.opt.ApplyChat {
				return w.asked(r, prompt, completion)
			}
			return w.pair(prompt+f.join, completion)
		},
	}
}

// asked returns the example of a question and its answer as a chat, with the record's
// system text.
func (w *worker) asked(r record, question, answer string) (Example, error) {
	system, err := r.system()
	if err != nil {
		return Example{}, err
	}
	return w.askedAs(system, question, answer)
}

// askedAs is asked with another system text, or "" for none.
func (w *worker) askedAs(system, question, answer string) (Example, error) {
	v := &chattemplate.Conversation{}
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
