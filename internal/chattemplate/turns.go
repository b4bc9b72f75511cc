package chattemplate

import (
	"fmt"
	"slices"
	"strings"
)

// A Turn is the part of a rendering that an assistant's message is.
type Turn struct {
	Message int // in the conversation
	// Text[Start:End] is what the model has to write: from behind the header
	// that the template puts in front of it, to the end of the message's text,
	// thoughts and calls. Text[End:Close] is what the template closes the turn
	// with, of which the token that ends a turn is a part.
	Start, End, Close int
}

// Turns renders a conversation and finds the assistant's turns in the text, for
// templates that do not mark them. An error says where none of three ways leads
// to exactly one answer.
//
// The conversation is rendered once more with a marker in place of each answer.
// What is then around the markers must be in the text too, and in one way only;
// what is between is the answers. Where that is not so (an answer changes how
// the others are rendered) each turn is looked for by itself, by a marker or by
// what the template makes of the conversation up to it. Last, what a turn gives
// at the end of a shorter conversation is looked for in the text.
func (c *Chat) Turns(v *Conversation) (text string, turns []Turn, err error) {
	made, err := c.Render(v, false)
	if err != nil {
		return "", nil, err
	}
	var assistants []int
	for i, m := range v.Messages {
		if role, _ := m.Get("role"); role == "assistant" {
			assistants = append(assistants, i)
		}
	}
	if len(assistants) == 0 {
		return made.Text, nil, nil
	}
	for _, way := range []func(*Conversation, string, []int) ([]Turn, bool){c.between, c.oneByOne, c.fromEnds} {
		if turns, ok := way(v, made.Text, assistants); ok {
			return made.Text, turns, nil
		}
	}
	return "", nil, fmt.Errorf("%s does not show which parts of the text are the assistant's; "+
		"use a template with {%% generation %%} marks, or train on all of the text (`train_on_inputs`)", c.Name)
}

// between finds the turns of messages by markers.
func (c *Chat) between(v *Conversation, text string, messages []int) ([]Turn, bool) {
	marked := *v
	marked.Messages = slices.Clone(v.Messages)
	markers := make([]string, len(messages))
	for n, i := range messages {
		markers[n] = marker(n, text)
		marked.Messages[i] = answer(v.Messages[i], markers[n])
	}
	made, err := c.Render(&marked, false)
	if err != nil {
		return nil, false
	}
	around, ok := splitAt(made.Text, markers)
	if !ok {
		return nil, false
	}
	shape := c.shape(c.template(v))
	fixed := slices.Clone(around)
	for i := range messages {
		fixed[i] = shape.header(around[i])
	}
	answers, ok := soleSpans(text, fixed)
	if !ok && len(messages) == 1 {
		answers, ok = shape.sameHeader(text, around)
	}
	if !ok {
		return nil, false
	}
	turns := make([]Turn, len(messages))
	for n, s := range answers {
		i := messages[n]
		if _, calls := v.Messages[i].Get("tool_calls"); calls && !shows(text, around[n+1], v.Messages[i+1:]) {
			return nil, false
		}
		turns[n] = Turn{i, s.Start, s.End, s.End + shape.closing(around[n+1])}
		if i == len(v.Messages)-1 {
			turns[n].Close = len(text)
		}
	}
	return turns, true
}

// shows says whether what the text has of the messages up to the assistant's
// next stands behind a marker too. A template may write what tools gave only
// behind calls of them, of which a marker has none: it would seem to be a part
// of the answer.
func shows(text, behind string, messages []*Dict) bool {
	for _, m := range messages {
		if role, _ := m.Get("role"); role == "assistant" {
			break
		}
		content, _ := m.Get("content")
		said, _ := content.(string)
		for word := range strings.FieldsFuncSeq(said, func(c rune) bool { return c > 127 || notWord(c) }) {
			if strings.Contains(text, word) && !strings.Contains(behind, word) {
				return false
			}
		}
	}
	return true
}

// marker is a text that stands for answer n and is not in text.
func marker(n int, text string) string {
	for salt := 0; ; salt++ {
		m := fmt.Sprintf("Zq%dx%dQz", salt, n)
		if !strings.Contains(text, fmt.Sprintf("Zq%dx", salt)) {
			return m
		}
	}
}

// answer is a message with another text, and neither calls nor thoughts.
func answer(m *Dict, text string) *Dict {
	a := NewDict()
	for key, value := range m.All() {
		switch key {
		case "tool_calls", "function_call", "reasoning_content", "thinking", "reasoning":
		default:
			a.set(key, value)
		}
	}
	var content any = text
	if old, _ := m.Get("content"); old != nil {
		if _, parts := old.(*List); parts {
			part := NewDict()
			part.Set("type", "text")
			part.Set("text", text)
			content = NewList(part)
		}
	}
	a.Set("content", content)
	return a
}

// splitAt cuts a text at markers, each of which must be there once, in order.
func splitAt(text string, markers []string) ([]string, bool) {
	var parts []string
	for _, m := range markers {
		before, rest, found := strings.Cut(text, m)
		if !found || strings.Contains(rest, m) {
			return nil, false
		}
		parts = append(parts, before)
		text = rest
	}
	for _, m := range markers {
		if strings.Contains(text, m) {
			return nil, false
		}
	}
	return append(parts, text), true
}

// sameHeader finds an answer whose header the template writes otherwise than in
// front of a marker, because of thoughts in it: it begins where the text differs,
// which must be behind the beginning of the prompt.
func (s *shape) sameHeader(text string, around []string) ([]Span, bool) {
	begin := strings.LastIndex(around[0], s.prompt)
	start := len(common(around[0], text))
	end := len(text) - len(around[1])
	if s.prompt == "" || begin < 0 || start <= begin || end < start || !strings.HasSuffix(text, around[1]) {
		return nil, false
	}
	return []Span{{start, end}}, true
}

// oneByOne finds each turn by itself.
func (c *Chat) oneByOne(v *Conversation, text string, messages []int) ([]Turn, bool) {
	var turns []Turn
	for _, i := range messages {
		turn, ok := c.between(v, text, []int{i})
		if !ok {
			turn, ok = c.upTo(v, text, i)
		}
		if !ok {
			return nil, false
		}
		turns = append(turns, turn...)
	}
	return turns, true
}

// fromEnds finds the turns by what each gives as the last of a conversation.
// They must stand in the text in this order in one way only.
func (c *Chat) fromEnds(v *Conversation, text string, messages []int) ([]Turn, bool) {
	turns := make([]Turn, len(messages))
	wholes := make([]string, len(messages)) // of a turn: its answer and what closes it
	for n, i := range messages {
		part := *v
		part.Messages = v.Messages[:i+1]
		made, err := c.Render(&part, false)
		if err != nil {
			return nil, false
		}
		turn, ok := c.between(&part, made.Text, []int{i})
		if !ok || turn[0].Start == turn[0].End {
			return nil, false
		}
		turns[n] = turn[0]
		wholes[n] = made.Text[turn[0].Start:turn[0].Close]
	}
	at := 0
	for n, whole := range wholes {
		found := strings.Index(text[at:], whole)
		if found < 0 {
			return nil, false
		}
		shift := at + found - turns[n].Start
		at += found + len(whole)
		turns[n].Start, turns[n].End, turns[n].Close = turns[n].Start+shift, turns[n].End+shift, at
	}
	end := len(text)
	for n, whole := range slices.Backward(wholes) {
		if end = strings.LastIndex(text[:end], whole); end != turns[n].Start {
			return nil, false
		}
	}
	return turns, true
}

// soleSpans finds what is between fixed parts of a text, of which the first begins
// and the last ends it. It must be so in one way only: looking for the parts
// from the front and from the back must give the same.
func soleSpans(text string, fixed []string) ([]Span, bool) {
	last := len(fixed) - 1
	if !strings.HasPrefix(text, fixed[0]) || !strings.HasSuffix(text, fixed[last]) || len(fixed[0])+len(fixed[last]) > len(text) {
		return nil, false
	}
	spans := make([]Span, last)
	at := len(fixed[0])
	end := len(text) - len(fixed[last])
	for i := range last {
		spans[i].Start, spans[i].End = at, end
		if i == last-1 {
			break
		}
		found := strings.Index(text[at:end], fixed[i+1])
		if found < 0 || fixed[i+1] == "" {
			return nil, false
		}
		spans[i].End = at + found
		at = spans[i].End + len(fixed[i+1])
	}
	for i := last - 1; i > 0; i-- {
		found := strings.LastIndex(text[:end], fixed[i])
		if found != spans[i-1].End {
			return nil, false
		}
		end = found
	}
	return spans, true
}

// upTo finds a turn by what the template makes of the conversation before it,
// with the prompt, and of that up to it: both must begin the text.
func (c *Chat) upTo(v *Conversation, text string, message int) ([]Turn, bool) {
	part := *v
	part.Messages = v.Messages[:message]
	before, err := c.Render(&part, true)
	if err != nil || !strings.HasPrefix(text, before.Text) {
		return nil, false
	}
	bare, err := c.Render(&part, false)
	if err != nil || bare.Text == before.Text { // the template has no prompt: the header would count as answer
		return nil, false
	}
	part.Messages = v.Messages[:message+1]
	with, err := c.Render(&part, false)
	if err != nil || !strings.HasPrefix(text, with.Text) || len(with.Text) < len(before.Text) {
		return nil, false
	}
	end := len(strings.TrimRightFunc(with.Text, isSpace))
	if closing := c.shape(c.template(v)).close; strings.HasSuffix(with.Text, closing) {
		end = len(with.Text) - len(closing)
	}
	end = max(end, len(before.Text))
	return []Turn{{message, len(before.Text), end, len(with.Text)}}, true
}
