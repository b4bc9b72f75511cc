package chattemplate

// A Conversation is what a template is given.
type Conversation struct {
	// Messages are objects with role and mostly content.
	Messages []*Dict
	// Tools are descriptions of functions that the model may call, and
	// Documents what it may quote; nil: none.
	Tools, Documents *List
	// More are variables besides those that transformers always gives.
	More map[string]any
}

// reasoning are the names under which a message's thoughts are known; the
// first is the one that templates are to read.
var reasoning = []string{"reasoning_content", "thinking", "reasoning"}

// normal is a message as transformers hands it on: without keys that are null,
// and with its thoughts under the names that templates read.
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
