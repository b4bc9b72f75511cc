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
		if _, function := chattemplate.CalledFunction(item); function != nil {
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
