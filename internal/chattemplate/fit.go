package chattemplate

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// A Fitting counts what Fit changed.
type Fitting struct {
	Developer int // messages of a developer that became the system's
	Joined    int // contents of several parts that became one text
}

// developerRole is the role of a system message in OpenAI's newer API.
const developerRole = "developer"

// Fit gives the messages of a conversation the form that the template reads: their roles,
// contents and the arguments of their calls.
func (c *Chat) Fit(v *Conversation) (Fitting, error) {
	var f Fitting
	parts, texts := c.TakesParts(v)
	developer := c.Names(v, developerRole)
	calls := ArgumentForm{Objects: true, Texts: true}
	for i, m := range v.Messages {
		if role, _ := m.Get("role"); role == developerRole && !developer {
			m = m.Clone()
			m.Set("role", "system")
			f.Developer++
		}
		m, joined := withContent(m, parts, texts)
		if joined {
			f.Joined++
		}
		if _, ok := m.Get("tool_calls"); ok {
			calls = c.ArgumentForm(v)
		}
		m, err := withArguments(m, calls)
		if err != nil {
			return f, fmt.Errorf("message %d %w", i+1, err)
		}
		v.Messages[i] = m
	}
	return f, nil
}

// withContent joins a list of text parts into a text if the template does not read lists,
// and wraps a text in a list if it reads nothing else. joined reports that several parts
// became one.
func withContent(m *Dict, parts, texts bool) (_ *Dict, joined bool) {
	content, _ := m.Get("content")
	var fitting any
	switch x := content.(type) {
	case string:
		if texts {
			return m, false
		}
		part := NewDict()
		part.Set("type", "text")
		part.Set("text", x)
		fitting = NewList(part)
	case *List:
		if parts || !AreTexts(x) {
			return m, false
		}
		fitting, joined = JoinTexts(x), len(x.Items()) > 1
	default:
		return m, false
	}
	m = m.Clone()
	m.Set("content", fitting)
	return m, joined
}

// AreTexts reports whether all elements of a content are text parts: a tool's content
// may be any list.
func AreTexts(list *List) bool {
	for _, item := range list.Items() {
		part, ok := item.(*Dict)
		if !ok {
			return false
		}
		text, _ := part.Get("text")
		if _, ok := text.(string); !ok {
			return false
		}
	}
	return true
}

// JoinTexts returns the text of text parts.
func JoinTexts(parts *List) string {
	var b strings.Builder
	for _, p := range parts.Items() {
		text, _ := p.(*Dict).Get("text")
		b.WriteString(text.(string))
	}
	return b.String()
}

// withArguments returns a message whose calls have their arguments in the form that the
// template reads. OpenAI's API gives them as the text of a JSON object.
func withArguments(m *Dict, form ArgumentForm) (*Dict, error) {
	value, _ := m.Get("tool_calls")
	list, ok := value.(*List)
	if !ok {
		return m, nil
	}
	calls := make([]any, len(list.Items()))
	changed := false
	for i, item := range list.Items() {
		calls[i] = item
		call, function := CalledFunction(item)
		if function == nil {
			continue
		}
		old, given := function.Get("arguments")
		if !given {
			continue
		}
		now, err := argumentsAs(old, form)
		if err != nil {
			return nil, fmt.Errorf("calls %q with arguments that are %w", CalledName(item), err)
		}
		if now == old {
			continue
		}
		changed = true
		function = function.Clone()
		function.Set("arguments", now)
		calls[i] = function
		if call != nil {
			call = call.Clone()
			call.Set("function", function)
			calls[i] = call
		}
	}
	if !changed {
		return m, nil
	}
	m = m.Clone()
	m.Set("tool_calls", NewList(calls...))
	return m, nil
}

// CalledFunction returns the function of a call, and the call if that is around it.
func CalledFunction(item any) (call, function *Dict) {
	call, ok := item.(*Dict)
	if !ok {
		return nil, nil
	}
	if inner, framed := call.Get("function"); framed {
		function, _ = inner.(*Dict)
		return call, function
	}
	return nil, call
}

// argumentsAs returns the arguments of a call in the form that a template reads. A
// template of both forms gets what the record has.
func argumentsAs(value any, form ArgumentForm) (any, error) {
	text, isText := value.(string)
	none := value == nil || isText && strings.TrimSpace(text) == ""
	switch {
	case none && form.Texts && !form.Objects:
		return "{}", nil
	case none:
		return NewDict(), nil
	case form.Texts && isText:
		return value, nil
	case form.Texts && !form.Objects:
		return JSON(value)
	case !isText:
		return value, nil
	}
	parsed, err := Decode([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%s, not JSON", excerpt(text))
	}
	if inner, again := parsed.(string); again { // encoded twice
		if parsed, err = Decode([]byte(inner)); err != nil {
			parsed = inner
		}
	}
	if _, ok := parsed.(*Dict); !ok {
		return nil, fmt.Errorf("%s, not a JSON object", excerpt(text))
	}
	return parsed, nil
}

// CalledName returns the name of a call's function, or "".
func CalledName(call any) string {
	for _, key := range []string{"function", "name"} {
		object, ok := call.(*Dict)
		if !ok {
			break
		}
		if inner, ok := object.Get(key); ok {
			call = inner
		}
	}
	name, _ := call.(string)
	return name
}

// excerpt returns the beginning of a text, fit for one line of an error.
func excerpt(text string) string {
	const most = 40
	s := strings.Map(func(r rune) rune {
		if r < ' ' || r == utf8.RuneError {
			return ' '
		}
		return r
	}, text[:min(len(text), most)])
	if len(text) > most {
		s += "…"
	}
	return s
}
