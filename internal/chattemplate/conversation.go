package chattemplate

// A Conversation is the input of a template.
type Conversation struct {
	// Messages are objects with a role and usually content.
	Messages []*Dict
	// Tools describes functions that the model may call, and Documents texts that it may
	// quote; nil for none.
	Tools, Documents *List
	// More holds variables besides those that transformers always sets.
	More map[string]any
}

// reasoning lists the keys of a message's reasoning text; templates read the first.
var reasoning = []string{"reasoning_content", "thinking", "reasoning"}

// normal returns a message as transformers passes it on: without null keys, and with its
// reasoning under the keys that templates read.
func normal(m *Dict) *Dict {
	n := NewDict()
	var thoughts any
	for _, name := range reasoning {
		if v, ok := m.Get(name); ok && v != nil {
			thoughts = v
			break
		}
	}
	if thoughts != nil {
		n.Set("thinking", thoughts)
	}
	for key, value := range m.All() {
		if value != nil {
			n.set(key, value)
		}
	}
	if thoughts != nil {
		n.Set("reasoning_content", thoughts)
	}
	return n
}

// Reasoning returns the text of a message's reasoning and the key that holds it; "" if
// it has none.
func Reasoning(m *Dict) (key, text string) {
	for _, name := range reasoning {
		if v, _ := m.Get(name); v != nil {
			text, _ = v.(string)
			return name, text
		}
	}
	return "", ""
}

// WithReasoning returns a message with another text as its reasoning; "" for none.
func WithReasoning(m *Dict, text string) *Dict {
	m = m.Without(reasoning...)
	if text != "" {
		m.Set(reasoning[0], text)
	}
	return m
}
