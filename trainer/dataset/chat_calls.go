package dataset

import (
	"errors"
	"fmt"
	"strings"

	"qlora/internal/chattemplate"
)

// withCalls returns a message with its tool calls as a list: they may be a JSON text, as
// in tables. An empty list counts as none.
func (r *record) withCalls(m *chattemplate.Dict) (*chattemplate.Dict, error) {
	value, ok := m.Get("tool_calls")
	if !ok {
		return m, nil
	}
	text, isText := value.(string)
	if isText && strings.TrimSpace(text) != "" {
		var err error
		if value, err = chattemplate.Decode([]byte(text)); err != nil {
			return nil, fmt.Errorf("has tool_calls that are %s, not JSON", shown([]byte(text)))
		}
	}
	list, isList := value.(*chattemplate.List)
	switch {
	case value == nil || isText && strings.TrimSpace(text) == "" || isList && len(list.Items()) == 0:
		return m.Without("tool_calls"), nil
	case !isList:
		return nil, errors.New("has tool_calls that are not a list of calls")
	}
	if r.columnar && !isText {
		value = ownMembers(list)
	}
	m = m.Clone()
	m.Set("tool_calls", value)
	return m, nil
}

// ownMembers returns calls without the members that a column of structs adds. A function
// whose arguments are null has none.
func ownMembers(calls *chattemplate.List) *chattemplate.List {
	own, _ := withoutNulls(calls).(*chattemplate.List)
	for _, item := range own.Items() {
		if _, function := calledFunction(item); function != nil {
			if _, given := function.Get("arguments"); !given {
				function.Set("arguments", chattemplate.NewDict())
			}
		}
	}
	return own
}

// withoutNulls returns a value without the members of its objects that are null. Columns
// of structs give each object the members of all others, as nulls.
func withoutNulls(value any) any {
	switch x := value.(type) {
	case *chattemplate.List:
		items := make([]any, len(x.Items()))
		for i, item := range x.Items() {
			items[i] = withoutNulls(item)
		}
		return chattemplate.NewList(items...)
	case *chattemplate.Dict:
		d := chattemplate.NewDict()
		for name, member := range x.All() {
			if member != nil {
				d.Set(name.(string), withoutNulls(member))
			}
		}
		return d
	}
	return value
}

// withArguments returns a message whose calls have their arguments in the form that the
// template reads. OpenAI's API gives them as the text of a JSON object.
func withArguments(m *chattemplate.Dict, form chattemplate.ArgumentForm) (*chattemplate.Dict, error) {
	value, _ := m.Get("tool_calls")
	list, ok := value.(*chattemplate.List)
	if !ok {
		return m, nil
	}
	calls := make([]any, len(list.Items()))
	changed := false
	for i, item := range list.Items() {
		calls[i] = item
		call, function := calledFunction(item)
		if function == nil {
			continue
		}
		old, given := function.Get("arguments")
		if !given {
			continue
		}
		now, err := argumentsAs(old, form)
		if err != nil {
			return nil, fmt.Errorf("calls %q with arguments that are %w", calledName(item), err)
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
	m.Set("tool_calls", chattemplate.NewList(calls...))
	return m, nil
}

// calledFunction returns the function of a call, and the call if that is around it.
func calledFunction(item any) (call, function *chattemplate.Dict) {
	call, ok := item.(*chattemplate.Dict)
	if !ok {
		return nil, nil
	}
	if inner, framed := call.Get("function"); framed {
		function, _ = inner.(*chattemplate.Dict)
		return call, function
	}
	return nil, call
}

// argumentsAs returns the arguments of a call in the form that a template reads. A
// template of both forms gets what the record has.
func argumentsAs(value any, form chattemplate.ArgumentForm) (any, error) {
	text, isText := value.(string)
	none := value == nil || isText && strings.TrimSpace(text) == ""
	switch {
	case none && form.Texts && !form.Objects:
		return "{}", nil
	case none:
		return chattemplate.NewDict(), nil
	case form.Texts && isText:
		return value, nil
	case form.Texts && !form.Objects:
		return chattemplate.JSON(value)
	case !isText:
		return value, nil
	}
	parsed, err := chattemplate.Decode([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%s, not JSON", shown([]byte(text)))
	}
	if inner, again := parsed.(string); again { // encoded twice
		if parsed, err = chattemplate.Decode([]byte(inner)); err != nil {
			parsed = inner
		}
	}
	if _, ok := parsed.(*chattemplate.Dict); !ok {
		return nil, fmt.Errorf("%s, not a JSON object", shown([]byte(text)))
	}
	return parsed, nil
}
