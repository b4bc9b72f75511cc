package dataset

import (
	"fmt"
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
	questionAnswer   = pairFormat(pairFields{prompt: "question", completion: "answer", task: true})
	// contextAnswer is the format of sql-create-context: the context is the line before
	// the question.
	contextAnswer = pairFormat(pairFields{needs: "context", prompt: "question", completion: "answer", task: true})
	// openOrca has a system text, which a prompt without a chat template begins with.
	openOrca         = pairFormat(pairFields{needs: "system_prompt", prompt: "question", completion: "response", task: true})
	questionResponse = pairFormat(pairFields{prompt: "question", completion: "response", task: true})
	problemSolution  = pairFormat(pairFields{prompt: "problem", completion: "solution", task: true})
	queryResponse    = pairFormat(pairFields{prompt: "query", completion: "response", task: true})
	inputTarget      = pairFormat(pairFields{prompt: "input", completion: "target", task: true})
	queryAnswer      = pairFormat(pairFields{prompt: "query", completion: "answer", task: true})
	questionSolution = pairFormat(pairFields{prompt: "question", completion: "solution", task: true})
	humanAssistant   = pairFormat(pairFields{prompt: "human", completion: "assistant", task: true})
	userAssistant    = pairFormat(pairFields{prompt: "user", completion: "assistant", task: true})
	inputsTargets    = pairFormat(pairFields{prompt: "inputs", completion: "targets", task: true})
)

// pairFields names the fields of a prompt and its completion.
type pairFields struct {
	needs              string // a further field that selects the format; "" for none
	prompt, completion string
	// task formats have a newline after the prompt and may have a context, the line
	// before it.
	task bool
}

func pairFormat(f pairFields) format {
	fields := []string{f.prompt, f.completion}
	if f.needs != "" {
		fields = slices.Insert(fields, 0, f.needs)
	}
	return format{
		name:   "prompt-completion",
		fields: fields,
		choice: true,
		example: func(w *worker, r record) (Example, error) {
			if r.isList(f.prompt) && (r.isList(f.completion) || r.isObject(f.completion)) {
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
			if f.task && r.has("context") {
				context, err := r.text("context")
				if err != nil {
					return Example{}, err
				}
				if context != "" {
					prompt = context + "\n" + prompt
				}
			}
			if w.opt.ApplyChat {
				return w.asked(r, prompt, completion)
			}
			system, err := r.system()
			if err != nil {
				return Example{}, err
			}
			if system != "" {
				prompt = system + "\n" + prompt
			}
			if f.task {
				prompt += "\n"
			}
			w.count(completion)
			return w.pair(prompt, completion)
		},
	}
}

// asked returns the example of a question and its answer as a chat, with the record's
// system text, earlier turns and tools. Only the answer is trained on.
func (w *worker) asked(r record, question, answer string) (Example, error) {
	system, err := r.system()
	if err != nil {
		return Example{}, err
	}
	history, err := r.history()
	if err != nil {
		return Example{}, err
	}
	v := &chattemplate.Conversation{}
	if system != "" {
		v.Messages = append(v.Messages, said("system", system))
	}
	for _, turn := range history {
		v.Messages = append(v.Messages, said("user", turn[0]), said("assistant", turn[1]))
	}
	v.Messages = append(v.Messages, said("user", question), said("assistant", answer))
	if err := r.surroundings(v); err != nil {
		return Example{}, err
	}
	if history == nil {
		return w.chat(v, nil)
	}
	return w.chat(v, last(len(v.Messages)))
}

// conversations returns the example of a prompt and a completion that are lists of
// messages.
func (w *worker) conversations(r record, prompt, completion string) (Example, error) {
	before, asked, err := r.conversation(prompt)
	if err != nil {
		return Example{}, err
	}
	after, only, err := r.conversation(completion)
	if err != nil {
		return Example{}, err
	}
	for i, l := range asked {
		if l.weight != nil && *l.weight || l.parts != nil {
			return Example{}, fmt.Errorf("message %d of %q has a nonzero weight, but a prompt is not trained on; name the conversation messages", i+1, prompt)
		}
	}
	w.heed(asked, !w.opt.wholePairs())
	if err := r.addSystem(before, nil); err != nil {
		return Example{}, err
	}
	whole := *before
	whole.Messages = slices.Concat(before.Messages, after.Messages)
	if only == nil {
		return w.chatPair(before, &whole)
	}
	return w.chat(&whole, slices.Concat(untrained(len(before.Messages)), only))
}
