package dataset

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"qlora/internal/chattemplate"
)

// preferencePair is a prompt with a better and a worse completion: texts or lists of messages,
// with the prompt in a field of its own, or as what both begin with.
var preferencePair = comparedFormat("preference", "chosen", "rejected")

// comparedFormats are the formats of records with several completions, under the names of
// datasets.
var comparedFormats = func() []*format {
	all := []*format{&preferencePair}
	for _, p := range pairsOfAnswers {
		if p != [2]string{"chosen", "rejected"} && p[0] != "chosen_input_ids" {
			f := comparedFormat("preference", p[0], p[1])
			all = append(all, &f)
		}
	}
	all = append(all, &judgedCompletion)
	for i := range judgedPairs {
		all = append(all, &judgedPairs[i])
	}
	for i := range judgedChats {
		all = append(all, &judgedChats[i])
	}
	return all
}()

func comparedFormat(name, chosen, rejected string) format {
	return format{
		name: name, fields: []string{chosen, rejected}, choice: true,
		example: func(w *worker, r record) (Example, error) {
			c, err := w.pairOf(r, chosen, rejected)
			if err != nil {
				return Example{}, err
			}
			return w.sequences(c)
		},
	}
}

// promptFields are the names of a prompt beside the completions.
var promptFields = []string{"prompt", "question", "instruction", "query", "input"}

// pairOf reads the prompt and the two completions.
func (w *worker) pairOf(r record, chosen, rejected string) (compared, error) {
	for _, name := range []string{chosen, rejected} {
		if r.isBlank(name) && !w.canBeEmpty(r, name) {
			return compared{}, fmt.Errorf("%q is empty: a pair needs both sides", name)
		}
	}
	if (r.isList(chosen) || r.isObject(chosen)) != (r.isList(rejected) || r.isObject(rejected)) {
		return compared{}, fmt.Errorf("%q and %q must both be texts, or both messages", chosen, rejected)
	}
	if !r.isList(chosen) && !r.isObject(chosen) {
		return w.textPair(r, chosen, rejected)
	}
	return w.chatSides(r, chosen, rejected)
}

// canBeEmpty reports whether an empty completion still has tokens: the end of the sequence.
func (w *worker) canBeEmpty(r record, name string) bool {
	return !r.isList(name) && !r.isObject(name) && w.vocabulary != nil && w.vocabulary.hasEOS && r.present(name)
}

// textPair reads texts. With apply_chat_template they become the turns of a chat.
func (w *worker) textPair(r record, chosen, rejected string) (compared, error) {
	good, err := r.text(chosen)
	if err != nil {
		return compared{}, err
	}
	bad, err := r.text(rejected)
	if err != nil {
		return compared{}, err
	}
	for _, history := range []string{"messages", "conversations"} {
		if r.isList(history) {
			return w.turned(r, history, good, bad)
		}
	}
	if r.isList("prompt") {
		return w.turned(r, "prompt", good, bad)
	}
	prompt, found, err := w.promptOf(r)
	switch {
	case err != nil:
		return compared{}, err
	case !found:
		n := commonText(good, bad)
		return compared{prompt: good[:n], sides: []side{{text: good[n:]}, {text: bad[n:]}}}, nil
	}
	return w.answered(r, prompt, good, bad)
}

// answered returns texts as the answers to a prompt, in a chat if that is asked for, with the
// record's system text and earlier turns.
func (w *worker) answered(r record, prompt string, answers ...string) (compared, error) {
	if w.asChat() {
		v := &chattemplate.Conversation{}
		history, err := r.history()
		if err != nil {
			return compared{}, err
		}
		for _, turn := range history {
			v.Messages = append(v.Messages, said("user", turn[0]), said("assistant", turn[1]))
		}
		v.Messages = append(v.Messages, said("user", prompt))
		if err := errors.Join(r.addSystem(v, nil), r.surroundings(v)); err != nil {
			return compared{}, err
		}
		var turns [][]*chattemplate.Dict
		for _, a := range answers {
			turns = append(turns, []*chattemplate.Dict{said("assistant", a)})
		}
		return continued(v, turns...), nil
	}
	system, err := r.system()
	if err != nil {
		return compared{}, err
	}
	if system != "" {
		prompt = system + "\n" + prompt
	}
	c := compared{prompt: prompt}
	for _, a := range answers {
		c.sides = append(c.sides, side{text: a})
	}
	return c, nil
}

// turned reads a conversation whose next turn is one of two texts.
func (w *worker) turned(r record, field, good, bad string) (compared, error) {
	v, _, err := r.conversation(field)
	if err != nil {
		return compared{}, err
	}
	if err := r.addSystem(v, nil); err != nil {
		return compared{}, err
	}
	return continued(v, []*chattemplate.Dict{said("assistant", good)}, []*chattemplate.Dict{said("assistant", bad)}), nil
}

// promptOf returns a prompt that is a text, as the fields of alpaca have it: an
// instruction, and an input in the next line.
func (w *worker) promptOf(r record) (prompt string, found bool, err error) {
	for _, name := range promptFields {
		if !r.present(name) || string(r.raw(name)) == "null" {
			continue
		}
		if prompt, err = r.text(name); err != nil {
			return "", false, err
		}
		if name == "instruction" && r.has("input") {
			input, err := r.text("input")
			if err != nil {
				return "", false, err
			}
			if input != "" {
				prompt += "\n" + input
			}
		}
		return prompt, true, nil
	}
	return "", false, nil
}

// chatSides reads completions that are messages.
func (w *worker) chatSides(r record, chosen, rejected string) (compared, error) {
	good, err := r.messagesOf(chosen)
	if err != nil {
		return compared{}, err
	}
	bad, err := r.messagesOf(rejected)
	if err != nil {
		return compared{}, err
	}
	for _, field := range []string{"prompt", "messages", "conversations"} {
		if !r.isList(field) {
			continue
		}
		v, _, err := r.conversation(field)
		if err != nil {
			return compared{}, err
		}
		if err := r.addSystem(v, nil); err != nil {
			return compared{}, err
		}
		return continued(v, after(v, good), after(v, bad)), nil
	}
	v := *good
	n := 0
	for n < min(len(good.Messages), len(bad.Messages)) && sameMessage(good.Messages[n], bad.Messages[n]) {
		n++
	}
	v.Messages = slices.Clone(good.Messages[:n])
	if n == 0 { // completions alone: the prompt is a text
		prompt, found, err := w.promptOf(r)
		if err != nil {
			return compared{}, err
		}
		if !found {
			return compared{}, errors.New("the completions begin differently and there is no prompt")
		}
		v.Messages = []*chattemplate.Dict{said("user", prompt)}
	}
	if err := r.addSystem(&v, nil); err != nil {
		return compared{}, err
	}
	return continued(&v, good.Messages[n:], bad.Messages[n:]), nil
}

// after returns the messages of a completion, which may begin with those of the prompt.
func after(prompt, completion *chattemplate.Conversation) []*chattemplate.Dict {
	n := len(prompt.Messages)
	if len(completion.Messages) > n && slices.EqualFunc(prompt.Messages, completion.Messages[:n], sameMessage) {
		return completion.Messages[n:]
	}
	return completion.Messages
}

// messagesOf reads a field of messages, or of one message. Tables have a list of messages as an
// object of lists, which is left as it is.
func (r *record) messagesOf(field string) (*chattemplate.Conversation, error) {
	var one map[string]json.RawMessage
	if raw := r.fields[field]; json.Unmarshal(raw, &one) == nil {
		for key, value := range one {
			own := cmp.Or(r.names.keys[key], key)
			if (own == "role" || own == "from") && value[0] == '"' {
				r.fields[field] = slices.Concat([]byte{'['}, raw, []byte{']'})
			}
		}
	}
	v, _, err := r.conversation(field)
	return v, err
}

// continued returns the completions of a conversation.
func continued(v *chattemplate.Conversation, completions ...[]*chattemplate.Dict) compared {
	c := compared{chat: v}
	for _, messages := range completions {
		whole := *v
		whole.Messages = slices.Concat(v.Messages, messages)
		c.sides = append(c.sides, side{chat: &whole})
	}
	return c
}

// sameMessage reports whether two messages are equal.
func sameMessage(a, b *chattemplate.Dict) bool {
	x, err := chattemplate.JSON(a)
	y, otherErr := chattemplate.JSON(b)
	return err == nil && otherErr == nil && x == y
}
