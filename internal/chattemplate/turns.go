package chattemplate

import (
	"fmt"
	"slices"
	"strings"
)

// A Turn is the text of an assistant's message in a rendering.
type Turn struct {
	Message int // in the conversation
	// Text[Start:End] is what the model has to write: from the end of the header that
	// the template adds to the end of the message's text, thoughts and calls.
	// Text[End:Close] closes the turn and includes the token that ends it.
	Start, End, Close int
}

// Turns renders a conversation and finds the assistant's turns in the text, for
// templates that do not mark them. It returns an error if none of three methods gives
// exactly one answer.
//
// First it renders the conversation again with a marker in place of each answer. The
// text around the markers must occur in the original text in one way only; the gaps are
// the answers. If that fails (an answer changes how the others are rendered), it looks
// for each turn by itself, with a marker or by rendering the conversation up to it.
// Last, it searches the text for what each turn renders to at the end of a shorter
// conversation.
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

// shows reports whether the text after a marker, too, contains the messages up to the
// assistant's next one. A template may write tool results only after tool calls, and a
// marker has none: the results would count as part of the answer.
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

// marker returns a text for answer n that does not occur in text.
func marker(n int, text string) string {
	for salt := 0; ; salt++ {
		m := fmt.Sprintf("Zq%dx%dQz", salt, n)
		if !strings.Contains(text, fmt.Sprintf("Zq%dx", salt)) {
			return m
		}
	}
}

// answer returns a message with another text, without calls and thoughts.
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

// splitAt cuts a text at markers, which must each occur once, in order.
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

// sameHeader finds an answer whose header differs from the one before a marker, because
// of thoughts in it. The answer begins where the text differs, which must be after the
// start of the prompt.
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

// fromEnds finds the turns by what each renders to as the last of a conversation. They
// must occur in the text in this order in one way only.
func (c *Chat) fromEnds(v *Conversation, text string, messages []int) ([]Turn, bool) {
	turns := make([]Turn, len(messages))
	wholes := make([]string, len(messages)) // each turn's answer with its closing text
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

// soleSpans returns the gaps between fixed parts of a text; the first part begins and
// the last ends it. The result must be unique: searching for the parts from the front
// and from the back must agree.
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

// upTo finds a turn by rendering the conversation before it, with the prompt, and up to
// it: both must be prefixes of the text.
func (c *Chat) upTo(v *Conversation, text string, message int) ([]Turn, bool) {
	part := *v
	part.Messages = v.Messages[:message]
	before, err := c.Render(&part, true)
	if err != nil || !strings.HasPrefix(text, before.Text) {
		return nil, false
	}
	bare, err := c.Render(&part, false)
	if err != nil || bare.Text == before.Text { // without a prompt the header would count as the answer
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
