package options

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
)

// YAML returns every option of the command with its current value, after lines of
// comment. --config reads it back.
func (s *Set) YAML(comments ...string) []byte {
	return s.yaml(comments, func(o *option) (bool, string) { return true, "" })
}

// GivenYAML returns the options that a file set as YAML, after lines of comment. remark
// returns a comment on an option, "" for none.
func (s *Set) GivenYAML(remark func(name string) string, comments ...string) []byte {
	return s.yaml(comments, func(o *option) (bool, string) { return o.source == fromFile, remark(o.name) })
}

func (s *Set) yaml(comments []string, which func(*option) (bool, string)) []byte {
	var b bytes.Buffer
	for _, line := range comments {
		fmt.Fprintf(&b, "# %s\n", strings.ReplaceAll(line, "\n", " "))
	}
	for _, sec := range s.sections {
		for _, o := range sec.options {
			written, remark := which(o)
			if o.hidden || o.secret || !written {
				continue
			}
			if remark != "" {
				remark = " # " + remark
			}
			fmt.Fprintf(&b, "%s: %s%s\n", o.name, o.yaml(), remark)
		}
	}
	return b.Bytes()
}

// yaml returns the option's value as YAML, as it was given.
func (o *option) yaml() string {
	switch {
	case o.given == nil:
		return yamlOf(o.value)
	case o.value.Type() == listType:
		return yamlOf(reflect.ValueOf(o.given))
	}
	return quote(o.given[0])
}

// yamlOf returns v as YAML. Text is quoted as in JSON.
func yamlOf(v reflect.Value) string {
	switch {
	case v.Kind() == reflect.Pointer && v.IsNil(), (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.Len() == 0:
		return "null"
	case v.Type() == listType:
		var quoted []string
		for _, text := range v.Interface().([]string) {
			quoted = append(quoted, quote(text))
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	}
	switch kindOf(v.Type()) {
	case "bool", "int", "number":
		return textOf(v)
	}
	return quote(textOf(v))
}

func quote(text string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(text); err != nil {
		panic(err) // a string always has a JSON form
	}
	return strings.TrimSpace(b.String())
}

// Inherit sets the options of targets, pointers to structs, from the YAML file of an
// earlier run, except those given in this one. It ignores other names in the file. A
// missing file is not an error.
func (s *Set) Inherit(path string, targets ...any) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(data) > maxFile {
		return fmt.Errorf("%s: longer than %d bytes, the limit for a file of options", path, maxFile)
	}
	pairs, err := parseYAML(data)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	earlier := New()
	for _, target := range targets {
		earlier.AddHidden(target)
	}
	for _, pair := range pairs {
		name := canonical(pair.Key.GetToken().Value)
		if own := s.byName[name]; earlier.byName[name] == nil || own != nil && own.source != fromDefault {
			continue
		}
		if err := earlier.giveNode(name, pair.Value, ""); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}
