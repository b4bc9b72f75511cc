package chattemplate

import "strings"

// Names reports whether the template of a conversation has a word as a string, such as
// the name of a role.
func (c *Chat) Names(v *Conversation, word string) bool {
	source := c.template(v).source
	return strings.Contains(source, "'"+word+"'") || strings.Contains(source, `"`+word+`"`)
}

// Mentions reports whether the source of the template that renders a conversation has the
// word anywhere.
func (c *Chat) Mentions(v *Conversation, word string) bool {
	return strings.Contains(c.template(v).source, word)
}

// Shown reports for some messages of a conversation, in order, whether a part of theirs
// is rendered. mark returns a message with a marker in place of the part. What cannot be
// rendered counts as shown.
func (c *Chat) Shown(v *Conversation, messages []int, mark func(m *Dict, marker string) *Dict) []bool {
	marked := *v
	marked.Messages = append([]*Dict(nil), v.Messages...)
	shown := make([]bool, len(messages))
	for n, i := range messages {
		marked.Messages[i] = mark(v.Messages[i], marker(n, ""))
	}
	made, err := c.Render(&marked, false)
	for n := range messages {
		shown[n] = err != nil || strings.Contains(made.Text, marker(n, ""))
	}
	return shown
}
