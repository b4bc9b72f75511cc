package dataset

import (
	"errors"
	"fmt"
	"strings"

	"qlora/internal/chattemplate"
)

// content checks a message's content: a text, a list of text parts, or null. A tool's
// content may be any value. thoughts is the text of the parts that are reasoning, which
// the content does not keep.
func content(value any, role string) (_ any, thoughts string, err error) {
	switch x := value.(type) {
	case nil, string:
		return value, "", nil
	case *chattemplate.List:
		var parts []any
		for _, item := range x.Items() {
			if text, ok := thought(item); ok {
				thoughts += text
				continue
			}
			part, err := textPart(item)
			if err != nil {
				if roles[role] == "tool" && !typed(item) {
					return value, "", nil
				}
				return nil, "", err
			}
			parts = append(parts, part)
		}
		return chattemplate.NewList(parts...), thoughts, nil
	}
	if roles[role] == "tool" {
		return value, "", nil
	}
	return nil, "", errors.New("has a content that is neither a text nor a list of text parts")
}

// typed reports whether an element of a content says what kind of part it is.
func typed(item any) bool {
	part, ok := item.(*chattemplate.Dict)
	if !ok {
		return false
	}
	_, ok = part.Get("type")
	return ok
}

// textTypes are the types of text parts: of the chat API, and of the Responses API.
var textTypes = map[string]bool{"text": true, "input_text": true, "output_text": true}

// textPart converts an element of a content to {"type": "text", "text": …}.
func textPart(item any) (*chattemplate.Dict, error) {
	part := chattemplate.NewDict()
	part.Set("type", "text")
	switch x := item.(type) {
	case string:
		part.Set("text", x)
		return part, nil
	case *chattemplate.Dict:
		if kind, _ := x.Get("type"); kind != nil {
			name, ok := kind.(string)
			switch {
			case !ok:
				return nil, errors.New("has a part of its content whose type is not a text")
			case !textTypes[name]:
				return nil, fmt.Errorf("has a part of type %s; only text is supported", shown([]byte(name)))
			}
		}
		for _, key := range []string{"text", "value"} {
			if text, _ := x.Get(key); text != nil {
				if inner, ok := text.(*chattemplate.Dict); ok { // as in OpenAI's Assistants API
					text, _ = inner.Get("value")
				}
				s, ok := text.(string)
				if !ok {
					break
				}
				part.Set("text", s)
				return part, nil
			}
		}
	}
	return nil, errors.New(`has a part of its content that is not {"type": "text", "text": …}`)
}

// thought returns the text of an element of a content that is reasoning.
func thought(item any) (string, bool) {
	part, ok := item.(*chattemplate.Dict)
	if !ok {
		return "", false
	}
	kind, _ := part.Get("type")
	if kind != "thinking" && kind != "reasoning" {
		return "", false
	}
	for _, key := range []string{"thinking", "reasoning", "text"} {
		value, _ := part.Get(key)
		switch x := value.(type) {
		case string:
			return x, true
		case *chattemplate.List: // of text parts
			var b strings.Builder
			for _, item := range x.Items() {
				inner, err := textPart(item)
				if err != nil {
					return "", false
				}
				text, _ := inner.Get("text")
				b.WriteString(text.(string))
			}
			return b.String(), true
		}
	}
	return "", false
}
