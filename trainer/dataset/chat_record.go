package dataset

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"qlora/internal/chattemplate"
)

// errNothing says that a record is valid but has nothing to train on: it is dropped and
// counted.
var errNothing = errors.New("the record is empty")

// conversation reads the messages of a field, and the fields that belong to them: tools,
// documents, a system text, variables of the template. only marks the messages to train
// on; nil means the assistant's.
func (r *record) conversation(field string) (v *chattemplate.Conversation, only []bool, err error) {
	v = &chattemplate.Conversation{}
	list, err := r.list(field)
	if err != nil {
		return nil, nil, err
	}
	if list == nil {
		return nil, nil, fmt.Errorf("the record has %s but no %q", r.names(), field)
	}
	for i, item := range list.Items() {
		m, trained, err := message(item)
		if err == nil {
			m, err = r.withCalls(m)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("message %d of %q %w", i+1, field, err)
		}
		v.Messages = append(v.Messages, m)
		if trained != nil {
			if only == nil {
				only = slices.Repeat([]bool{true}, len(list.Items()))
			}
			only[i] = *trained
		}
	}
	if len(v.Messages) == 0 {
		return nil, nil, errNothing
	}
	return v, only, r.surroundings(v)
}

// surroundings reads the fields next to the messages.
func (r *record) surroundings(v *chattemplate.Conversation) error {
	var err error
	if v.Tools, err = r.list("tools"); err != nil {
		return err
	}
	if v.Tools != nil {
		if v.Tools, err = wholeTools(v.Tools); err != nil {
			return err
		}
	}
	if v.Documents, err = r.list("documents"); err != nil {
		return err
	}
	if !r.has("chat_template_kwargs") {
		return nil
	}
	more, err := r.value("chat_template_kwargs")
	if err != nil {
		return err
	}
	object, ok := more.(*chattemplate.Dict)
	if !ok {
		return errors.New(`"chat_template_kwargs" is not an object of the template's variables`)
	}
	v.More = map[string]any{}
	for name, value := range object.All() {
		v.More[name.(string)] = value
	}
	return nil
}

// value reads a field of any kind. It parses a text that holds a JSON list or object, as
// in tables.
func (r *record) value(name string) (any, error) {
	raw := r.fields[name]
	if text, ok := r.texts[name]; ok && raw == nil {
		raw = json.RawMessage(text)
	}
	var text string
	if len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, &text) == nil {
		raw = json.RawMessage(text)
	}
	v, err := chattemplate.Decode(raw)
	if err != nil {
		return nil, fmt.Errorf("%q is %s, not JSON: %w", name, shown(raw), err)
	}
	if r.columnar && text == "" && name != "messages" && name != "conversations" {
		v = withoutNulls(v)
	}
	return v, nil
}

// list reads a field that must be a list. It returns nil if the field is missing or
// empty.
func (r *record) list(name string) (*chattemplate.List, error) {
	if !r.has(name) || r.texts[name] == "" && r.fields[name] == nil || string(r.fields[name]) == `""` {
		return nil, nil
	}
	v, err := r.value(name)
	if err != nil {
		return nil, err
	}
	list, ok := v.(*chattemplate.List)
	switch {
	case !ok:
		return nil, fmt.Errorf("%q is %s, not a list", name, shown(r.fields[name]))
	case len(list.Items()) == 0 && name != "messages" && name != "conversations":
		return nil, nil
	}
	return list, nil
}

// wholeTools wraps bare descriptions of functions as templates expect them. A description
// may be a JSON text.
func wholeTools(tools *chattemplate.List) (*chattemplate.List, error) {
	whole := slices.Clone(tools.Items())
	for i, t := range whole {
		if text, ok := t.(string); ok {
			parsed, err := chattemplate.Decode([]byte(text))
			if _, ok := parsed.(*chattemplate.Dict); !ok || err != nil {
				return nil, fmt.Errorf("tool %d of \"tools\" is %s, not a JSON object", i+1, shown([]byte(text)))
			}
			t = parsed
		}
		whole[i] = t
		bare, ok := t.(*chattemplate.Dict)
		if !ok {
			continue
		}
		_, framed := bare.Get("function")
		if _, named := bare.Get("name"); named && !framed {
			whole[i] = function(bare)
		}
	}
	return chattemplate.NewList(whole...), nil
}

func function(f any) *chattemplate.Dict {
	d := chattemplate.NewDict()
	d.Set("type", "function")
	d.Set("function", f)
	return d
}

// roles maps the role names of datasets to those of transformers.
var roles = map[string]string{
	"human": "user", "user": "user", "prompter": "user",
	"gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant", "bot": "assistant", "model": "assistant",
	"system": "system", "developer": "developer",
	"tool": "tool", "observation": "tool", "function_response": "tool",
	functionCall: "assistant",
}

const functionCall = "function_call"

// message converts an element of a list to a message of transformers: from and value
// become role and content, and role names are normalized. trained is its weight; nil if
// it has none.
func message(item any) (m *chattemplate.Dict, trained *bool, err error) {
	object, ok := item.(*chattemplate.Dict)
	if !ok {
		return nil, nil, errors.New("is not an object with role and content")
	}
	m = chattemplate.NewDict()
	role, named := "", false
	for key, value := range object.All() {
		switch key {
		case "role", "from":
			if role, named = value.(string); !named {
				return nil, nil, fmt.Errorf("has a %s that is not a text", key)
			}
			known, ok := roles[role]
			switch {
			case ok:
				m.Set("role", known)
			case key == "from":
				return nil, nil, fmt.Errorf("is from %q; it must be from %s", role, strings.Join(slices.Sorted(maps.Keys(roles)), ", "))
			default: // the template interprets it
				m.Set("role", role)
			}
		case "content", "value":
			var thoughts string
			if value, thoughts, err = content(value, role); err != nil {
				return nil, nil, err
			}
			m.Set("content", value)
			if _, has := m.Get("reasoning_content"); thoughts != "" && !has {
				m.Set("reasoning_content", thoughts)
			}
		case "loss_weight", "weight", "train":
			if trained, err = weight(key.(string), value); err != nil {
				return nil, nil, err
			}
		default:
			m.Set(key.(string), value)
		}
	}
	switch {
	case !named:
		return nil, nil, errors.New("has no role (or from)")
	case role == functionCall:
		if err := callOf(m); err != nil {
			return nil, nil, err
		}
	}
	if now, _ := m.Get("role"); trained != nil && *trained && now != "assistant" {
		return nil, nil, fmt.Errorf("is from %s and has a nonzero weight; only the assistant's messages can have one (`train_on_inputs` trains on all text)", role)
	}
	return m, trained, nil
}

// weight returns whether to train on a message.
func weight(key string, value any) (*bool, error) {
	yes, no := true, false
	switch value {
	case nil:
		return nil, nil
	case true, 1, 1.0:
		return &yes, nil
	case false, 0, 0.0:
		return &no, nil
	}
	return nil, fmt.Errorf("has a %s that is not 0 or 1; other weights are not supported", key)
}

// callOf parses a content that is a function call in JSON into tool calls.
func callOf(m *chattemplate.Dict) error {
	text, _ := m.Get("content")
	s, _ := text.(string)
	v, err := chattemplate.Decode([]byte(s))
	if err != nil {
		return errors.New(`is a function_call, but its value is not JSON; it must be {"name": …, "arguments": {…}}, or a list of such`)
	}
	list, ok := v.(*chattemplate.List)
	if !ok {
		list = chattemplate.NewList(v)
	}
	var calls []any
	for _, item := range list.Items() {
		call, ok := item.(*chattemplate.Dict)
		if ok {
			_, ok = call.Get("name")
		}
		if !ok {
			return errors.New(`is a function_call, but its value is not {"name": …, "arguments": {…}}`)
		}
		calls = append(calls, function(call))
	}
	m.Set("content", "")
	m.Set("tool_calls", chattemplate.NewList(calls...))
	return nil
}

// said returns a message of a role.
func said(role, text string) *chattemplate.Dict {
	m := chattemplate.NewDict()
	m.Set("role", role)
	m.Set("content", text)
	return m
}
