package dataset

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"qlora/internal/chattemplate"
	"qlora/tokenizer"
)

// A lesson says what is trained on of a message.
type lesson struct {
	weight *bool  // of all of it; nil: by its role
	parts  []part // of its content; nil: all
	keys   []string
}

// lessons are those of a conversation's messages; nil trains on the assistant's.
type lessons []lesson

// A part is Axolotl's train_detail: the characters from Begin to End, inclusive, of a
// message's content, and whether they are trained on.
type part struct {
	begin, end int
	trained    bool
}

// asks reports whether a message is trained on, at least in parts.
func (l lessons) asks(message int) bool {
	return l == nil || l[message].weight == nil || *l[message].weight
}

// partsOf returns the parts of a message; nil if it is trained on as a whole.
func (l lessons) partsOf(message int) []part {
	if l == nil {
		return nil
	}
	return l[message].parts
}

// insert inserts a message that has no lesson of its own.
func (l lessons) insert(at int) lessons {
	if l == nil {
		return nil
	}
	return slices.Insert(l, at, lesson{})
}

// untrained returns the lessons of n messages that are not trained on.
func untrained(n int) lessons {
	no := false
	return slices.Repeat(lessons{{weight: &no}}, n)
}

// last returns lessons that train on the last of n messages only.
func last(n int) lessons { return append(untrained(n-1), lesson{}) }

// messageWeights are the keys of a message that say whether it is trained on: OpenAI's
// and Mistral's weight, Axolotl's training and train, ms-swift's loss and loss_scale.
var messageWeights = []string{"weight", "loss_weight", "train", "training", "loss", "loss_scale"}

// details are the keys of Axolotl's train_detail.
var details = []string{"train_detail", "training_detail"}

// take reads a key of a message if it is a weight or train_detail, and reports whether it
// is.
func (l *lesson) take(key string, value any) (bool, error) {
	isWeight, isDetail := slices.Contains(messageWeights, key), slices.Contains(details, key)
	if !isWeight && !isDetail || value == nil {
		return isWeight || isDetail, nil
	}
	l.keys = append(l.keys, key)
	if isDetail {
		parts, err := detail(key, value)
		l.parts = parts
		if no := false; len(parts) == 0 && l.weight == nil { // as in Axolotl
			l.weight = &no
		}
		return true, err
	}
	trained, err := weight(key, value)
	if err != nil {
		return true, err
	}
	if l.weight != nil && *l.weight != *trained {
		return true, fmt.Errorf("has a %s that another key contradicts", key)
	}
	l.weight = trained
	return true, nil
}

// detail parses a train_detail.
func detail(key string, value any) ([]part, error) {
	wrong := fmt.Errorf(`has a %s that is not a list of {"begin_offset", "end_offset", "train"}`, key)
	list, ok := value.(*chattemplate.List)
	if !ok {
		return nil, wrong
	}
	parts := []part{}
	for _, item := range list.Items() {
		object, ok := item.(*chattemplate.Dict)
		if !ok {
			return nil, wrong
		}
		begin, _ := object.Get("begin_offset")
		end, _ := object.Get("end_offset")
		train, _ := object.Get("train")
		b, isBegin := begin.(int)
		e, isEnd := end.(int)
		trained, isTrain := train.(bool)
		switch {
		case !isBegin || !isEnd || !isTrain:
			return nil, wrong
		case b < 0 || e < b:
			return nil, fmt.Errorf("has a %s from %d to %d; offsets are those of the first and the last character", key, b, e)
		}
		parts = append(parts, part{b, e, trained})
	}
	return parts, nil
}

// spans returns the trained spans of a turn that is trained on in parts: those of its
// content, and the end of the turn. A token is trained on if a part has all of it or at
// least two of its characters, as in Axolotl.
func spans(text, content string, parts []part, t chattemplate.Turn, end int, places []tokenizer.Span) ([]chattemplate.Span, error) {
	shown := strings.TrimSpace(content)
	before, _, _ := strings.Cut(content, shown)
	cut := utf8.RuneCountInString(before)
	at := strings.LastIndex(text[t.Start:t.End], shown)
	if shown == "" || at < 0 {
		return nil, errors.New("has train_detail, but the chat template changes its content; use another template, or remove train_detail")
	}
	var offsets []int // of the characters in text, and the end
	for i := range shown {
		offsets = append(offsets, t.Start+at+i)
	}
	offsets = append(offsets, t.Start+at+len(shown))
	length := len(offsets) - 1
	var all []chattemplate.Span
	for _, p := range parts {
		first, final := max(0, p.begin-cut), min(length-1, p.end-cut)
		if !p.trained || first > final {
			continue
		}
		s := chattemplate.Span{Start: offsets[first], End: offsets[final+1]}
		for _, place := range places {
			if place.Start < s.Start && place.End == offsets[first+1] && first < final {
				s.Start = place.End
			}
			if place.Start == offsets[final] && place.End > s.End && first < final {
				s.End = place.Start
			}
		}
		all = append(all, s)
	}
	if end > t.End {
		all = append(all, chattemplate.Span{Start: t.End, End: end})
	}
	slices.SortFunc(all, func(a, b chattemplate.Span) int { return a.Start - b.Start })
	return all, nil
}

// contentOf returns a message's content if it is a text or parts of one.
func contentOf(m *chattemplate.Dict) string {
	content, _ := m.Get("content")
	if list, ok := content.(*chattemplate.List); ok && chattemplate.AreTexts(list) {
		return chattemplate.JoinTexts(list)
	}
	text, _ := content.(string)
	return text
}

// countAnswers counts the trained messages that have neither text, calls nor reasoning,
// and the messages of roles that are not trained on.
func (w *worker) countAnswers(v *chattemplate.Conversation, only lessons) {
	for i, m := range v.Messages {
		role, usual := isUsual(m)
		if !usual && !w.opt.wholeChats() {
			w.usage.roles[role]++
		}
		_, calls := m.Get("tool_calls")
		if key, _ := chattemplate.Reasoning(m); role == "assistant" && only.asks(i) && !calls && key == "" {
			w.count(contentOf(m))
		}
	}
}

// lossMask is LLaMA-Factory's name of a list of what to train on.
const lossMask = "loss_mask"

// lossMask adds LLaMA-Factory's loss_mask, a list of 0 and 1 for each message, to the
// messages' lessons. A system message at the beginning may have none, and only the
// assistant's matter.
func (r *record) lossMask(v *chattemplate.Conversation, only lessons) (lessons, error) {
	const name = lossMask
	if !r.isList(name) {
		return only, nil
	}
	n := len(v.Messages)
	flags, err := r.numbers(name, n)
	if first, _ := v.Messages[0].Get("role"); err != nil && first == "system" {
		flags, err = r.numbers(name, n-1)
		flags = slices.Insert(flags, 0, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("%q needs 0 or 1 for each of the %d messages: %w", name, n, err)
	}
	r.use(name)
	if only == nil {
		only = make(lessons, n)
	}
	for i, f := range flags {
		if role, _ := v.Messages[i].Get("role"); f == 0 && role == "assistant" {
			no := false
			only[i].weight = &no
		}
	}
	return only, nil
}

// heed notes the keys of messages that are lessons, and whether they are followed:
// train_on_inputs trains on all text.
func (w *worker) heed(only lessons, followed bool) {
	if !followed && w.usage.fields.seen[lossMask] {
		w.usage.fields.lost[lossMask] = true
	}
	for _, l := range only {
		for _, key := range l.keys {
			w.usage.keys.seen[key] = true
			if followed {
				w.usage.keys.read[key] = true
			}
		}
	}
}
