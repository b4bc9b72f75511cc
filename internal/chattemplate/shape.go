package chattemplate

import "strings"

// A shape is the text that a template adds around turns, learned from conversations of
// one and two questions.
type shape struct {
	// prompt is the text that add_generation_prompt adds, after which a model begins to
	// write; "" if unknown.
	prompt string
	// extra is the text that the template adds between the prompt and an answer, such as
	// an empty block of thoughts. The model has to write it. Without a prompt only
	// blanks are known to be extra: the rest is a header.
	extra string
	// close is the text between an answer and the next message, and last the text after
	// the last answer.
	close, last string
	// parts reports that a list of text parts renders as its text does, and onlyParts
	// that plain text does not render at all.
	parts, onlyParts bool
}

// shape returns the shape of a template and computes it once.
func (c *Chat) shape(t *Template) *shape {
	if t == c.toolUse {
		return c.shapes[1]()
	}
	return c.shapes[0]()
}

// TakesParts reports whether the template renders contents that are lists of text parts,
// and whether it renders texts. It may silently drop the form it does not support.
func (c *Chat) TakesParts(v *Conversation) (parts, texts bool) {
	s := c.shape(c.template(v))
	return s.parts, !s.onlyParts
}

// Closing returns the text that the template writes after the last answer as after
// others, including the token that ends a turn; if they have none in common, the last
// one's; "" if unknown.
func (c *Chat) Closing() string {
	s := c.shape(c.normal)
	if both := common(s.last, s.close); both != "" {
		return both
	}
	return s.last
}

// Questions and answers that no template has a reason to change.
var probes = [4]string{"Zqa1Qz", "Zqb2Qz", "Zqc3Qz", "Zqd4Qz"}

// learn computes the shape of a template. What it cannot render stays unknown.
func (c *Chat) learn(t *Template) *shape {
	s := &shape{}
	one := *c
	one.normal, one.toolUse = t, nil
	render := func(turns int, parts, prompt bool) string {
		v := &Conversation{}
		for i := range turns {
			v.Messages = append(v.Messages, probe(i, parts))
		}
		made, err := one.Render(v, prompt)
		if err != nil {
			return ""
		}
		return made.Text
	}
	pair, listed := render(2, false, false), render(2, true, false)
	s.onlyParts = !strings.Contains(pair, probes[1]) && strings.Contains(listed, probes[1])
	s.parts = s.onlyParts || listed != "" && listed == pair
	if s.onlyParts {
		pair = listed
	}
	before, behind, ok := strings.Cut(pair, probes[1])
	if !ok {
		return s
	}
	s.last = behind
	next := "" // the text from an answer to the next question
	if four := render(4, s.onlyParts, false); four != "" {
		_, rest, _ := strings.Cut(four, probes[1])
		if before, _, ok := strings.Cut(rest, probes[2]); ok {
			next = before
			s.close = common(behind, next)
		}
	}
	bare, prompted := render(1, s.onlyParts, false), render(1, s.onlyParts, true)
	if prompted != bare {
		s.prompt = strings.TrimPrefix(prompted, common(bare, prompted))
	}
	if at := strings.LastIndex(before, s.prompt); s.prompt != "" && at >= 0 {
		s.extra = before[at+len(s.prompt):]
	} else if blank, ok := strings.CutPrefix(before, prompted); ok && strings.TrimFunc(blank, isSpace) == "" {
		s.extra = blank
	}
	// A template may end the last turn in its own way, but not if another turn follows.
	_, followed, _ := strings.Cut(render(2, s.onlyParts, true), probes[1])
	if end, ok := strings.CutSuffix(followed, s.prompt); ok && s.prompt != "" && len(end) > len(s.close) && strings.HasPrefix(next, end) {
		s.close = end
	}
	return s
}

// probe returns message i of a conversation rendered to learn the shape.
func probe(i int, parts bool) *Dict {
	m := NewDict()
	m.Set("role", [2]string{"user", "assistant"}[i%2])
	if parts {
		m.Set("content", NewList())
	} else {
		m.Set("content", "")
	}
	return answer(m, probes[i])
}

// common returns the common prefix of two texts. Unless one is a prefix of the other, it
// ends after a blank or a closing bracket, so that no token is cut.
func common(a, b string) string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	if n == len(a) || n == len(b) {
		return a[:n]
	}
	return a[:strings.LastIndexAny(a[:n], " \t\r\n>]})")+1]
}

// header returns the part of the text before an answer that the model does not write.
func (s *shape) header(before string) string {
	if s.prompt == "" {
		return strings.TrimSuffix(before, s.extra)
	}
	at := strings.LastIndex(before, s.prompt)
	if at < 0 {
		return before
	}
	if behind := before[at+len(s.prompt):]; behind != s.extra {
		return before
	}
	return before[:at+len(s.prompt)]
}

// closing returns the length of the text that closes a turn after its answer.
func (s *shape) closing(behind string) int {
	if strings.HasPrefix(behind, s.close) {
		return len(s.close)
	}
	return len(common(behind, s.close))
}
