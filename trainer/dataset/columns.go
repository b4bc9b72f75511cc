package dataset

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"qlora/option"
)

// A column is a field of a format and the place in a record where its value is: the name
// of a field, or names and list indexes joined by dots; "" leaves the column target out.
type column struct {
	target, from string
}

// columnsOf parses the values of Options.Columns, such as prompt=question.
func columnsOf(values []string) ([]column, error) {
	var columns []column
	for _, value := range values {
		target, from, ok := strings.Cut(value, "=")
		target, from = strings.TrimSpace(target), strings.TrimSpace(from)
		switch {
		case !ok || target == "":
			return nil, option.Errorf("columns", value, "it must be like prompt=question, a field of a format and the file's name of it, or like images=, a column to leave out")
		case from != "" && !slices.Contains(fieldNames(), target) && !slices.Contains(questionNames, target):
			return nil, option.Errorf("columns", value, "%s is no field of a format; it must be one such as prompt, completion, messages, text, instruction, input, output, question, answer, system or history", shown([]byte(target)))
		case slices.ContainsFunc(columns, func(c column) bool { return c.target == target }):
			return nil, option.Errorf("columns", value, "%s is mapped twice", target)
		}
		columns = append(columns, column{target, from})
	}
	return columns, nil
}

// questionNames are the fields of questions with choices, besides those of formats.
var questionNames = []string{
	"choices", "answerKey", "question_stem", "A", "B", "C", "D", "E", "subject", "endings", "ctx", "label", "goal", "sol1", "sol2", "passage",
	"correct_answer", "distractor1", "distractor2", "distractor3", "support", "answerA", "answerB", "answerC", "sentence", "option1", "option2",
}

// rename gives the record's fields the names of the formats: first those of columns,
// then names that differ from a format's by capitals only. The record must be parsed.
func (r *record) rename(columns []column) {
	defer r.lower()
	if len(columns) == 0 {
		return
	}
	texts, fields := maps.Clone(r.texts), maps.Clone(r.fields)
	for _, c := range columns { // a field may take the name of another that is renamed too
		if r.usage != nil && r.present(c.target) && !slices.ContainsFunc(columns, func(o column) bool { return o.from == c.target }) {
			r.usage.fields.seen[replaced+c.target] = true
		}
		delete(texts, c.target)
		delete(fields, c.target)
		if c.from != c.target {
			delete(texts, c.from)
			delete(fields, c.from)
		}
	}
	for _, c := range columns {
		if c.from == "" {
			continue
		}
		text, isText := r.texts[c.from]
		raw, isField := r.fields[c.from]
		if !isText && !isField {
			var root string
			if root, raw, isField = r.nested(c.from); isField {
				r.use(root)
			}
		}
		if isText {
			texts[c.target] = text
		}
		if isField {
			if fields == nil {
				fields = map[string]json.RawMessage{}
			}
			fields[c.target] = raw
		}
	}
	r.texts, r.fields = texts, fields
}

// nested returns the value at a path of names and list indexes joined by dots, and the
// field that holds it. A name may have dots itself only at the first place.
func (r *record) nested(path string) (root string, value json.RawMessage, ok bool) {
	names := strings.Split(path, ".")
	for first := 1; first < len(names); first++ {
		root = strings.Join(names[:first], ".")
		raw, ok := r.fields[root]
		for _, name := range names[first:] {
			if !ok {
				break
			}
			raw, ok = member(raw, name)
		}
		if ok {
			return root, raw, true
		}
	}
	return "", nil, false
}

// member returns the value of an object's name or of a list's index.
func member(raw json.RawMessage, name string) (json.RawMessage, bool) {
	if len(raw) > 0 && raw[0] == '[' {
		var list []json.RawMessage
		i, err := strconv.Atoi(name)
		if err != nil || json.Unmarshal(raw, &list) != nil || i < 0 || i >= len(list) {
			return nil, false
		}
		return list[i], true
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) != nil {
		return nil, false
	}
	value, ok := object[name]
	return value, ok
}

// lower renames fields such as Question to question, if the record has no field of that
// name and no two fields would take it.
func (r *record) lower() {
	var capitals map[string][]string
	collect := func(name string) {
		small := strings.ToLower(name)
		if small == name || !slices.Contains(fieldNames(), small) && !slices.Contains(heededNames(), small) {
			return
		}
		if capitals == nil {
			capitals = map[string][]string{}
		}
		if !slices.Contains(capitals[small], name) {
			capitals[small] = append(capitals[small], name)
		}
	}
	for name := range r.texts {
		collect(name)
	}
	for name := range r.fields {
		collect(name)
	}
	if capitals == nil {
		return
	}
	r.texts, r.fields = maps.Clone(r.texts), maps.Clone(r.fields)
	for small, names := range capitals {
		_, isField := r.fields[small]
		_, isText := r.texts[small]
		if isField || isText || len(names) > 1 {
			continue
		}
		move(r.texts, names[0], small)
		move(r.fields, names[0], small)
	}
}

// move renames a key of a map, if it has it.
func move[V any](m map[string]V, from, to string) {
	if value, ok := m[from]; ok {
		m[to] = value
		delete(m, from)
	}
}

// checkColumns returns an error if a file's first record has none of what a column names.
func (r *record) checkColumns(columns []column) error {
	for _, c := range columns {
		_, isText := r.texts[c.from]
		_, isField := r.fields[c.from]
		if c.from == "" {
			continue
		}
		if _, _, nested := r.nested(c.from); !isText && !isField && !nested {
			return fmt.Errorf("the record has %s, but no %q, which `columns` maps to %s", r.fieldsNamed(), shown([]byte(c.from)), c.target)
		}
	}
	return nil
}
