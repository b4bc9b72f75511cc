package dataset

import (
	"fmt"
	"slices"
	"strings"

	"qlora/internal/chattemplate"
)

// judgedCompletion is a prompt and a completion with a judgement, label: true or false.
var judgedCompletion = judgedPair("prompt", "completion")

// judgedPairs are the same under the names of alpaca, of LLaMA-Factory's kto_tag, and of Axolotl's
// types.
var judgedPairs = []format{
	judgedPair("instruction", "output"), judgedPair("instruction", "completion"), judgedPair("question", "completion"), judgedPair("prompt", "response"),
}

func judgedPair(prompt, completion string) format {
	return format{
		name: "unpaired", fields: []string{prompt, completion}, choice: true,
		is: (*record).isJudged,
		example: func(w *worker, r record) (Example, error) {
			c, err := w.judgedOf(r, completion)
			if err != nil {
				return Example{}, err
			}
			return w.judge(r, c)
		},
	}
}

// judgedChats are conversations whose last message is judged, by label or LLaMA-Factory's
// kto_tag.
var judgedChats = []format{judgedChat("messages"), judgedChat("conversations"), judgedChat("completion")}

func judgedChat(field string) format {
	return format{
		name: "unpaired", fields: []string{field}, choice: true,
		is: func(r *record) bool { return r.isJudged() && (field != "completion" || r.isList(field)) },
		example: func(w *worker, r record) (Example, error) {
			v, _, err := r.conversation(field)
			if err != nil {
				return Example{}, err
			}
			if err := r.addSystem(v, nil); err != nil {
				return Example{}, err
			}
			last := len(v.Messages) - 1
			if last < 1 {
				return Example{}, fmt.Errorf("%q has one message: the last one is judged, and those before it are the prompt", field)
			}
			answer := v.Messages[last]
			v.Messages = v.Messages[:last:last]
			return w.judge(r, continued(v, []*chattemplate.Dict{answer}))
		},
	}
}

// judgedOf reads the prompt and the completion.
func (w *worker) judgedOf(r record, field string) (compared, error) {
	if r.isList(field) || r.isObject(field) {
		answer, err := r.messagesOf(field)
		if err != nil {
			return compared{}, err
		}
		v := &chattemplate.Conversation{}
		if r.isList("prompt") {
			if v, _, err = r.conversation("prompt"); err != nil {
				return compared{}, err
			}
		} else {
			prompt, _, err := w.promptOf(r)
			if err != nil {
				return compared{}, err
			}
			v.Messages = []*chattemplate.Dict{said("user", prompt)}
		}
		if err := r.addSystem(v, nil); err != nil {
			return compared{}, err
		}
		return continued(v, answer.Messages), nil
	}
	prompt, found, err := w.promptOf(r)
	if err != nil {
		return compared{}, err
	}
	if !found {
		return compared{}, missingField{"prompt", r.fieldsNamed()}
	}
	completion, err := r.text(field)
	if err != nil {
		return compared{}, err
	}
	return w.answered(r, prompt, completion)
}

// judge returns the example of a completion with the record's judgement.
func (w *worker) judge(r record, c compared) (Example, error) {
	good, err := r.judgement()
	if err != nil {
		return Example{}, err
	}
	e, err := w.sequences(c)
	e.Starts, e.Judgement = nil, -1
	if good {
		e.Judgement = 1
	}
	return e, err
}

// isJudged reports whether the record has a field of feedback.
func (r *record) isJudged() bool { return slices.ContainsFunc(feedback, r.present) }

// judgement returns the value of the record's field of feedback.
func (r *record) judgement() (bool, error) {
	for _, name := range feedback {
		if !r.present(name) {
			if _, null := r.fields[name]; null {
				return false, fmt.Errorf("%q is null; it must be true (desirable) or false", name)
			}
			continue
		}
		r.use(name)
		switch strings.ToLower(strings.Trim(string(r.raw(name)), "\" ")) {
		case "true", "1":
			return true, nil
		case "false", "0":
			return false, nil
		}
		return false, fmt.Errorf("%q is %s; it must be true (desirable) or false", name, shown(r.raw(name)))
	}
	return false, missingField{feedback[0], r.fieldsNamed()}
}
