package dataset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"qlora/internal/chattemplate"
)

// errNothing says that a record is valid but has nothing to train on: it is dropped and
// counted.
var errNothing = errors.New("the record is empty")

// conversation reads the messages of a field, and the fields that belong to them: tools,
// documents, a system text, variables of the template. only says what to train on; nil
// means the assistant's messages.
func (r *record) conversation(field string) (v *chattemplate.Conversation, only lessons, err error) {
	v = &chattemplate.Conversation{}
	r.use(field)
	list, err := r.list(field)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case list == nil && r.present(field):
		return nil, nil, errNothing
	case list == nil && string(r.fields[field]) == "null":
		return nil, nil, fmt.Errorf("%q is null", field)
	case list == nil:
		return nil, nil, missingField{field, r.fieldsNamed()}
	}
	for i, item := range list.Items() {
		m, own, err := message(r.names.of(item))
		if err == nil {
			m, err = r.withCalls(m)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("message %d of %q %w", i+1, field, err)
		}
		v.Messages = append(v.Messages, m)
		if len(own.keys) > 0 {
			if only == nil {
				only = make(lessons, len(list.Items()))
			}
			only[i] = own
		}
	}
	if len(v.Messages) == 0 {
		return nil, nil, errNothing
	}
	if only, err = r.lossMask(v, only); err != nil {
		return nil, nil, err
	}
	return v, only, r.surroundings(v)
}

// surroundings reads the fields next to the messages.
func (r *record) surroundings(v *chattemplate.Conversation) error {
	var err error
	tools := "tools"
	if !r.present(tools) && r.present("functions") { // OpenAI's old name
		tools = "functions"
	}
	if r.usage != nil {
		r.usage.tools = tools
	}
	if v.Tools, err = r.list(tools); err != nil {
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
	if !r.present("chat_template_kwargs") {
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
		return nil, fmt.Errorf("%q is %s, not JSON%s", name, shown(raw), likePython(raw))
	}
	if r.columnar && text == "" && name != "messages" && name != "conversations" {
		v = withoutNulls(v)
	}
	return v, nil
}

// likePython returns a hint if a text is a list or object as Python prints it, which some
// write into tables.
func likePython(text []byte) string {
	for _, start := range []string{"[{'", "{'", "['"} {
		if bytes.HasPrefix(bytes.TrimSpace(text), []byte(start)) {
			return " but Python's notation; write it by json.dumps"
		}
	}
	return ""
}

// list reads a field that must be a list. It returns nil if the field is missing or
// empty.
func (r *record) list(name string) (*chattemplate.List, error) {
	if !r.present(name) || r.texts[name] == "" && r.fields[name] == nil || string(r.fields[name]) == `""` {
		return nil, nil
	}
	v, err := r.value(name)
	if err != nil {
		return nil, err
	}
	if object, ok := v.(*chattemplate.Dict); ok && name == "completion" { // one message
		v = chattemplate.NewList(object)
	}
	v = rowsOf(v)
	list, ok := v.(*chattemplate.List)
	switch {
	case !ok:
		return nil, fmt.Errorf("%q is %s, not a list", name, shown(r.fields[name]))
	case len(list.Items()) == 0 && name != "messages" && name != "conversations":
		return nil, nil
	}
	return list, nil
}

// rowsOf returns a list of messages that is an object of columns, as older versions of
// datasets store lists of objects: {"role": ["user", …], "content": ["a", …]}. It returns
// another value unchanged.
func rowsOf(value any) any {
	columns, ok := value.(*chattemplate.Dict)
	if !ok {
		return value
	}
	var rows []any
	for name, column := range columns.All() {
		cells, ok := column.(*chattemplate.List)
		switch {
		case !ok:
			return value
		case rows == nil:
			for range cells.Items() {
				rows = append(rows, chattemplate.NewDict())
			}
		case len(cells.Items()) != len(rows):
			return value
		}
		for i, cell := range cells.Items() {
			rows[i].(*chattemplate.Dict).Set(name.(string), cell)
		}
	}
	if len(rows) == 0 {
		return value
	}
	return chattemplate.NewList(rows...)
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
			bare = function(bare)
		}
		whole[i] = withParameters(bare)
	}
	return chattemplate.NewList(whole...), nil
}

// withParameters returns a tool whose parameters are an object, if they are its JSON text.
func withParameters(tool *chattemplate.Dict) *chattemplate.Dict {
	_, f := chattemplate.CalledFunction(tool)
	if f == nil {
		return tool
	}
	text, _ := f.Get("parameters")
	s, _ := text.(string)
	parsed, err := chattemplate.Decode([]byte(s))
	if _, ok := parsed.(*chattemplate.Dict); !ok || err != nil {
		return tool
	}
	f = f.Clone()
	f.Set("parameters", parsed)
	if _, framed := tool.Get("function"); !framed {
		return f
	}
	tool = tool.Clone()
	tool.Set("function", f)
	return tool
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
	"tool": "tool", "observation": "tool", "function_response": "tool", "function": "tool",
	functionCall: "assistant",
}

const functionCall = "function_call"

// message converts an element of a list to a message of transformers: from and value
// become role and content, and role names are normalized.
func message(item any) (m *chattemplate.Dict, own lesson, err error) {
	object, ok := item.(*chattemplate.Dict)
	if !ok {
		return nil, own, errors.New("is not an object with role and content")
	}
	m = chattemplate.NewDict()
	role, named := "", false
	var call any
	for key, value := range object.All() {
		switch key {
		case "role", "from":
			if role, named = value.(string); !named {
				return nil, own, fmt.Errorf("has a %s that is not a text", key)
			}
			known, ok := roles[strings.ToLower(role)]
			switch {
			case ok:
				role = strings.ToLower(role)
				m.Set("role", known)
			case key == "from":
				return nil, own, fmt.Errorf("is from %q; it must be from human, gpt, system, function_call, observation or a synonym of theirs", shown([]byte(role)))
			default: // the template interprets it
				m.Set("role", role)
			}
		case "content", "value":
			var thoughts string
			if value, thoughts, err = content(value, role); err != nil {
				return nil, own, err
			}
			m.Set("content", value)
			if _, has := m.Get("reasoning_content"); thoughts != "" && !has {
				m.Set("reasoning_content", thoughts)
			}
		case functionCall:
			call = value
		default:
			name, _ := key.(string)
			taken, err := own.take(name, value)
			if err != nil {
				return nil, own, err
			}
			if !taken {
				m.Set(name, value)
			}
		}
	}
	switch {
	case !named:
		return nil, own, noRole(object)
	case role == functionCall:
		if err := callOf(m); err != nil {
			return nil, own, err
		}
	}
	if err := oldCall(m, call); err != nil {
		return nil, own, err
	}
	if content, _ := m.Get("content"); content == nil && !speaks(m) {
		return nil, own, errors.New("has no content; only a call or reasoning can be without one")
	}
	if now, _ := m.Get("role"); (own.weight != nil && *own.weight || own.parts != nil) && now != "assistant" {
		return nil, own, fmt.Errorf("is from %s and has a nonzero weight; only the assistant's messages can have one (`train_on_inputs` trains on all text)", role)
	}
	return m, own, nil
}

// noRole returns an error about a message whose keys have other names.
func noRole(message *chattemplate.Dict) error {
	var keys []string
	for key := range message.All() {
		name, _ := key.(string)
		keys = append(keys, name)
	}
	if _, ok := message.Get("content"); ok || len(keys) < 2 {
		return errors.New("has no role (or from)")
	}
	return advise("has no role (or from), but %s; an entry of `datasets` names such keys by message_property_mappings", enumerated(keys))
}

// weight returns whether to train on a message. A text may hold the number or truth value,
// as in tables.
func weight(key string, value any) (*bool, error) {
	yes, no := true, false
	switch value {
	case true, 1, 1.0:
		return &yes, nil
	case false, 0, 0.0:
		return &no, nil
	}
	if text, ok := value.(string); ok {
		switch x, isNumber := number(text); {
		case isNumber && x == 1:
			return &yes, nil
		case isNumber && x == 0:
			return &no, nil
		}
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

// oldCall turns OpenAI's old function_call of a message into a tool call.
func oldCall(m *chattemplate.Dict, value any) error {
	if value == nil {
		return nil
	}
	calls, _ := m.Get("tool_calls")
	if list, ok := calls.(*chattemplate.List); calls != nil && (!ok || len(list.Items()) > 0) {
		return errors.New("has both function_call and tool_calls; remove one of them")
	}
	call, ok := value.(*chattemplate.Dict)
	if ok {
		_, ok = call.Get("name")
	}
	if !ok {
		return errors.New(`has a function_call that is not {"name": …, "arguments": …}`)
	}
	m.Set("tool_calls", chattemplate.NewList(function(call)))
	return nil
}

// speaks reports whether a message without content has calls or reasoning.
func speaks(m *chattemplate.Dict) bool {
	calls, _ := m.Get("tool_calls")
	key, _ := chattemplate.Reasoning(m)
	return calls != nil || key != ""
}

// said returns a message of a role.
func said(role, text string) *chattemplate.Dict {
	m := chattemplate.NewDict()
	m.Set("role", role)
	m.Set("content", text)
	return m
}
