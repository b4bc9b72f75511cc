package dataset

import (
	"fmt"
	"slices"
	"strings"

	"qlora/internal/chattemplate"
)

// watch notes which keys of a conversation's messages, and which variables beside them,
// the template leaves out: without them the text is the same. It returns an error if the
// template leaves out a message of an unknown role.
func (w *worker) watch(v *chattemplate.Conversation, text string, template *chattemplate.Chat) error {
	for i, m := range v.Messages {
		name, usual := isUsual(m)
		content := strings.TrimSpace(contentOf(m))
		if name == "assistant" || name == "tool" || strings.Contains(text, content) {
			continue
		}
		if !usual {
			return fmt.Errorf("message %d has the role %q, which the chat template leaves out; the usual roles are %s", i+1, name, usualRoles)
		}
		w.usage.left.seen[name] = true
	}
	open := w.unknown(v)
	if len(open) == 0 || !w.changes(v, text, template, open) {
		return nil
	}
	for _, one := range open {
		if w.changes(v, text, template, []variable{one}) {
			one.of.read[one.name] = true
		}
	}
	return nil
}

// A variable is a key of messages, or a field beside them.
type variable struct {
	of   *names
	name string
}

// otherwise are the keys of messages that are not counted here: a role and a content are
// always read, and [ChatReport] counts reasoning.
var otherwise = []string{"role", "content", "reasoning_content", "thinking", "reasoning"}

// unknown returns the variables of a conversation that no template is known to read.
func (w *worker) unknown(v *chattemplate.Conversation) []variable {
	var open []variable
	for _, m := range v.Messages {
		for key, value := range m.All() {
			name, _ := key.(string)
			if value == nil || slices.Contains(otherwise, name) {
				continue
			}
			w.usage.keys.seen[name] = true
			if one := (variable{&w.usage.keys, name}); !w.usage.keys.read[name] && !slices.Contains(open, one) {
				open = append(open, one)
			}
		}
	}
	for _, one := range []struct {
		name string
		has  bool
	}{{w.usage.tools, v.Tools != nil}, {"documents", v.Documents != nil}, {"chat_template_kwargs", len(v.More) > 0}} {
		if one.has && !w.usage.fields.read[one.name] {
			open = append(open, variable{&w.usage.fields, one.name})
		}
	}
	return open
}

// changes reports whether the text is another without the variables.
func (w *worker) changes(v *chattemplate.Conversation, text string, template *chattemplate.Chat, without []variable) bool {
	bare := *v
	var keys []string
	for _, one := range without {
		switch {
		case one.of == &w.usage.keys:
			keys = append(keys, one.name)
		case one.name == w.usage.tools:
			bare.Tools = nil
		case one.name == "documents":
			bare.Documents = nil
		default:
			bare.More = nil
		}
	}
	bare.Messages = make([]*chattemplate.Dict, len(v.Messages))
	for i, m := range v.Messages {
		bare.Messages[i] = m.Without(keys...)
	}
	made, err := template.Render(&bare, false)
	return err != nil || made.Text != text
}
