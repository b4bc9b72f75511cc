package dataset

import (
	"fmt"
	"strings"

	"qlora/internal/chattemplate"
)

// fit gives the messages of a conversation the form that the template reads: roles,
// contents, the arguments of calls, and reasoning as opt says. It returns what that
// changes.
func (c *chats) fit(v *chattemplate.Conversation, reasoning string) (ChatReport, error) {
	report := ChatReport{Conversations: 1}
	parts, texts := c.template.TakesParts(v)
	developer := c.template.Names(v, developerRole)
	calls := chattemplate.ArgumentForm{Objects: true, Texts: true}
	for i, m := range v.Messages {
		if role, _ := m.Get("role"); role == developerRole && !developer {
			m = m.Clone()
			m.Set("role", "system")
			report.Developer++
		}
		m, joined := withContent(m, parts, texts)
		if joined {
			report.Joined++
		}
		if _, ok := m.Get("tool_calls"); ok {
			calls = c.template.ArgumentForm(v)
		}
		m, err := withArguments(m, calls)
		if err != nil {
			return report, fmt.Errorf("message %d %w", i+1, err)
		}
		v.Messages[i] = m
	}
	c.fitReasoning(v, reasoning, &report)
	return report, nil
}

const developerRole = "developer"

// withContent joins a list of text parts into a text if the template does not read lists,
// and wraps a text in a list if it reads nothing else. joined reports that several parts
// became one.
func withContent(m *chattemplate.Dict, parts, texts bool) (_ *chattemplate.Dict, joined bool) {
	content, _ := m.Get("content")
	var fitting any
	switch x := content.(type) {
	case string:
		if texts {
			return m, false
		}
		part, _ := textPart(x)
		fitting = chattemplate.NewList(part)
	case *chattemplate.List:
		if parts || !areParts(x) {
			return m, false
		}
		fitting, joined = joinedText(x), len(x.Items()) > 1
	default:
		return m, false
	}
	m = m.Clone()
	m.Set("content", fitting)
	return m, joined
}

// areParts reports whether all elements of a content are text parts: a tool's content
// may be any list.
func areParts(list *chattemplate.List) bool {
	for _, item := range list.Items() {
		part, ok := item.(*chattemplate.Dict)
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

// joinedText returns the text of text parts.
func joinedText(parts *chattemplate.List) string {
	var b strings.Builder
	for _, p := range parts.Items() {
		text, _ := p.(*chattemplate.Dict).Get("text")
		b.WriteString(text.(string))
	}
	return b.String()
}
