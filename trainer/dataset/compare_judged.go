package dataset

import (
	"fmt"
	"slices"
	"strings"

	"qlora/internal/chattemplate"
)

// judgedCompletion is a prompt and a completion with a judgement, label: true or false.
var judgedCompletion = format{
	name: "unpaired", fields: []string{"prompt", "completion"}, choice: true,
	is: (*record).isJudged,
	example: func(w *worker, r record) (Example, error) {
		c, err := w.judgedOf(r)
		if err != nil {
			return Example{}, err
		}
		return w.judge(r, c)
	},
}

// judgedMessages and judgedConversations are conversations whose last message is judged, by
// label or LLaMA-Factory's kto_tag.
var judgedMessages, judgedConversations = judgedChat("messages"), judgedChat("conversations")

func judgedChat(field string) format {
	return format{
		name: "unpaired", fields: []string{field}, choice: true,
		is: (*record).isJudged,
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
func (w *worker) judgedOf(r record) (compared, error) {
	if r.isList("completion") || r.isObject("completion") {
		answer, err := r.messagesOf("completion")
		if err != nil {
			return compared{}, err
		}
		v := &chattemplate.Conversation{}
		if r.isList("prompt") {
			if v, _, err = r.conversation("prompt"); err != nil {
				return compared{}, err
			}
		} else {
			prompt, err := r.text("prompt")
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
	prompt, err := r.text("prompt")
	if err != nil {
		return compared{}, err
	}
	completion, err := r.text("completion")
	if err != nil {
		return compared{}, err
	}
	if w.opt.ApplyChat {
		v := &chattemplate.Conversation{Messages: []*chattemplate.Dict{said("user", prompt)}}
		if err := r.addSystem(v, nil); err != nil {
			return compared{}, err
		}
		return continued(v, []*chattemplate.Dict{said("assistant", completion)}), nil
	}
	return compared{prompt: prompt, sides: []side{{text: completion}}}, nil
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
