package dataset

import (
	"errors"
	"fmt"
	"strings"

	"qlora/internal/chattemplate"
	"qlora/option"
)

// The values of Options.Compare.
const (
	ComparePairs  = "pairs"  // an example is a chosen and a rejected completion
	CompareJudged = "judged" // an example is a completion with a judgement; pairs are taken apart
	ComparePrompt = "prompt" // an example is a prompt, whose completions are sampled
)

// A side is a completion of a prompt: the rest of a text, or of a conversation.
type side struct {
	text string
	chat *chattemplate.Conversation // whole; nil: a text
}

// A compared is a record's prompt and its completions.
type compared struct {
	prompt string                     // a text,
	chat   *chattemplate.Conversation // or the messages before the completions
	sides  []side
}

// sequences returns the sequences of the completions, one after the other. The labels
// of a completion begin where its tokens and those of the prompt alone differ; of a pair, both
// begin at the earlier of the two places.
func (w *worker) sequences(c compared) (Example, error) {
	var all [][]int32
	var before []int32
	if c.chat != nil {
		chats, err := w.chats()
		if err != nil {
			return Example{}, err
		}
		if err := w.fit(chats, c.chat, false); err != nil {
			return Example{}, err
		}
		prompt, err := chats.template.Render(c.chat, true)
		if err != nil {
			return Example{}, fmt.Errorf("the prompt alone: %w", chats.explained(c.chat, err))
		}
		before = w.encoder.Encode(nil, prompt.Text, false)
		for i := range c.sides {
			w.count(saidIn(c.sides[i].chat, len(c.chat.Messages)))
			ids, err := w.wholeChat(chats, c.sides[i].chat)
			if err != nil {
				return Example{}, err
			}
			all = append(all, ids)
		}
	} else {
		if w.vocabulary == nil {
			return Example{}, errNoTokenizer
		}
		before = w.encoder.EncodePrompt(c.prompt)
		for i := range c.sides {
			w.count(c.sides[i].text)
			ids, err := w.closed(c.prompt+c.sides[i].text, c.sides[i].text)
			if err != nil {
				return Example{}, err
			}
			all = append(all, ids)
		}
	}
	border := len(before)
	for _, ids := range all {
		border = min(border, common(ids, before))
	}
	return w.cut(all, border)
}

// saidIn returns what the first message that says something says, of the messages of a
// conversation from the given one on, or "a call" if one before it calls tools; else "".
func saidIn(v *chattemplate.Conversation, first int) string {
	for _, m := range v.Messages[min(first, len(v.Messages)):] {
		if _, calls := m.Get("tool_calls"); calls {
			return "a call"
		}
		if content, _ := m.Get("content"); !isBlank(content) {
			return fmt.Sprint(content)
		}
	}
	return ""
}

// wholeChat returns the tokens of a conversation. Nothing is added to what the template renders.
func (w *worker) wholeChat(chats *chats, v *chattemplate.Conversation) ([]int32, error) {
	if err := w.fit(chats, v, true); err != nil {
		return nil, err
	}
	made, err := chats.template.Render(v, false)
	if err != nil {
		return nil, chats.explained(v, err)
	}
	if err := calls(v, made.Text, everything(made.Text)); err != nil {
		return nil, err
	}
	if err := w.watch(v, made.Text, chats.template); err != nil {
		return nil, err
	}
	return w.encoder.Encode(nil, made.Text, false), nil
}

// errLongPrompt says that a record's prompt leaves no room for a completion.
var errLongPrompt = errors.New("the prompt has max_length tokens or more")

// cut returns an example of sequences whose first border tokens are the prompt, each cut to
// the longest sequence. Those whose completions are to be combined with other prompts are cut
// after that.
func (w *worker) cut(all [][]int32, border int) (Example, error) {
	limit := w.opt.MaxLength
	if limit > 0 && border >= limit {
		return Example{}, errLongPrompt
	}
	var e Example
	for _, ids := range all {
		if limit > 0 && len(ids) > limit {
			w.cutShort = true
			if w.opt.Block == 0 {
				ids = ids[:limit]
			}
		}
		e.Starts = append(e.Starts, int32(len(e.IDs)))
		for i, id := range ids {
			e.IDs = append(e.IDs, id)
			if i < border {
				id = Ignored
			}
			e.Labels = append(e.Labels, id)
		}
	}
	for d := range e.Documents() {
		if d.Trained() == 0 {
			return Example{}, errNothing
		}
	}
	return e, nil
}

// common returns the number of tokens that two sequences begin with.
func common(a, b []int32) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

func checkCompare(name string) error {
	if name == "" || name == ComparePairs || name == CompareJudged || name == ComparePrompt {
		return nil
	}
	return option.Errorf("objective", name, "there are no such records")
}

// refuseAlone returns the error of a record that is neither a pair nor judged.
func refuseAlone(opt *Options, has string) error {
	switch opt.Compare {
	case ComparePrompt:
		return refuse("the record has %s: this objective needs prompts (prompt, as a text or messages); map another name by `columns`, such as prompt=question", has)
	case CompareJudged:
		return refuse("the record has %s: this objective needs a judged completion (prompt, completion, label) or a pair (prompt, chosen, rejected); map other names by `columns`", has)
	}
	return refuse("the record has %s: this objective needs preference pairs (prompt, chosen, rejected, or chosen, rejected); map other names by `columns`, such as chosen=better", has)
}

// commonText returns the length of the text that two texts begin with, in whole
// characters. If the character before the difference is a space, it belongs to the rest.
func commonText(a, b string) int {
	n := 0
	for i, r := range a {
		if !strings.HasPrefix(b[min(i, len(b)):], string(r)) {
			break
		}
		n = i + len(string(r))
	}
	if n > 0 && a[n-1] == ' ' {
		n--
	}
	return n
}
