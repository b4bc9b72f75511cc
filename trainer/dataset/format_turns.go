package dataset

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// turnsFormats are conversations under the names of some datasets: lists of messages, of
// objects with an input and an output (Capybara), or of texts by turns, the user's first
// (UltraChat). Such a name alone does not say that, so the first record's value does.
var turnsFormats = []*format{
	turnsFormat("conversation"), turnsFormat("dialogue"), turnsFormat("dialog"), turnsFormat("chat"),
	turnsFormat("turns"), turnsFormat("data"),
}

func turnsFormat(field string) *format {
	return &format{
		name:   sharegpt.name,
		fields: []string{field},
		choice: true,
		is:     func(r *record) bool { return kindOfTurns(r.fields[field], field) != noTurns },
		example: func(w *worker, r record) (Example, error) {
			one, err := r.asMessages(field)
			if err != nil {
				return Example{}, err
			}
			return w.conversationOf(one, field)
		},
	}
}

// The kinds of elements that a list of turns has.
type turnKind int

const (
	noTurns turnKind = iota
	messageTurns
	pairTurns
	textTurns
)

// kindOfTurns returns the kind of a list's first element. Lists of texts are turns under
// UltraChat's name only.
func kindOfTurns(raw json.RawMessage, field string) turnKind {
	var list []json.RawMessage
	if len(raw) == 0 || raw[0] != '[' || json.Unmarshal(raw, &list) != nil || len(list) == 0 {
		return noTurns
	}
	if list[0][0] == '"' && field == "data" {
		return textTurns
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(list[0], &object) != nil {
		return noTurns
	}
	has := func(names ...string) bool {
		return !slices.ContainsFunc(names, func(name string) bool { return len(object[name]) == 0 })
	}
	switch {
	case has("role", "content"), has("from", "value"):
		return messageTurns
	case has("input", "output"):
		return pairTurns
	}
	return noTurns
}

// asMessages returns the record with its turns as a list of messages.
func (r *record) asMessages(field string) (record, error) {
	type message struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	var all []message
	switch kindOfTurns(r.fields[field], field) {
	case textTurns:
		var texts []string
		if err := json.Unmarshal(r.fields[field], &texts); err != nil {
			return *r, fmt.Errorf("%q is not a list of texts", field)
		}
		for i, text := range texts {
			all = append(all, message{[]string{"user", "assistant"}[i%2], text})
		}
	case pairTurns:
		var pairs []map[string]*string
		if err := json.Unmarshal(r.fields[field], &pairs); err != nil {
			return *r, fmt.Errorf("%q is not a list of objects of texts", field)
		}
		for _, pair := range pairs {
			for _, part := range [][2]string{{"system", "system"}, {"input", "user"}, {"output", "assistant"}} {
				if text := pair[part[0]]; text != nil && (*text != "" || part[0] != "system") {
					all = append(all, message{part[1], *text})
				}
				delete(pair, part[0])
			}
			for name, text := range pair {
				if r.usage != nil && text != nil && *text != "" {
					r.usage.keys.seen[name] = true
				}
			}
		}
	default:
		return *r, nil // messages, or a value that conversation refuses
	}
	raw, err := json.Marshal(all)
	if err != nil {
		return *r, err
	}
	one := *r
	one.fields = maps.Clone(r.fields)
	one.fields[field] = raw
	return one, nil
}
