package options

import (
	"fmt"
	"reflect"
	"strings"

	opt "qlora/option"
)

// source is where an option's value comes from; a greater one wins.
type source int

const (
	fromDefault source = iota
	fromFile
	fromCommandLine
)

// An option is one tagged field.
type option struct {
	name     string
	aliases  []string
	help     string
	unit     string
	bare     string // the value of the option given without one; "": it needs a value
	null     string // the value of the option given as null; "": the default
	nothing  string // the value of the option given as an empty list; "": the default
	many     bool   // several values may follow the option on the command line
	value    reflect.Value
	fallback string     // the default, as text
	hidden   bool       // accepted and ignored
	within   *opt.Range // of a number; nil: any
	values   []string   // that completion offers; nil: it offers none
	path     bool       // its text is a path, or a list of them
	literal  bool       // a list's elements may be texts in brackets, such as [PAD]
	hub      string     // what its text names on the Hub, if that is no path; "": it is always a path
	secret   bool       // YAML leaves it out
	given    []string   // what Locate replaced; nil: nothing

	source  source
	givenAs string // the name under which source gave it
}

// give sets the option from text. A source weaker than the current one has no effect.
// Two names of one option must not disagree.
func (o *option) give(name, text string, from source) error {
	return o.giveAll(name, []string{text}, from, false)
}

// giveAll sets the option from the elements of a list, or from one text. Exact
// elements are not split at commas.
func (o *option) giveAll(name string, texts []string, from source, exact bool) error {
	if from < o.source {
		return nil
	}
	old := textOf(o.value)
	again := from == o.source
	if o.many && !exact && len(texts) == 1 {
		if elements, ok := bracketed(texts[0], o.literal || o.path); ok {
			texts, exact = elements, true
			switch {
			case len(elements) > 0:
			case o.nothing != "":
				texts = []string{o.nothing}
			case o.value.Type() != listType || o.fallback != "":
				return fmt.Errorf("%s: the list is empty; leave the option out", name)
			}
		}
	}
	if o.value.Type() == listType {
		var list []string
		for _, text := range texts {
			if exact {
				list = append(list, text)
				continue
			}
			parts := strings.Split(text, ",")
			if o.path {
				parts = paths(text)
			}
			for _, part := range parts {
				if len(parts) > 1 || !o.path {
					part = strings.TrimSpace(part)
				}
				if part == "" {
					return fmt.Errorf("%s: %q has an empty element; write a,b,c", name, text)
				}
				list = append(list, part)
			}
		}
		if err := o.expand(name, list); err != nil {
			return err
		}
		if again {
			list = append(o.value.Interface().([]string), list...)
		}
		o.value.Set(reflect.ValueOf(list))
	} else {
		text := []string{o.spelled(strings.Join(texts, ","))}
		if err := o.expand(name, text); err != nil {
			return err
		}
		if err := setText(o.value, text[0]); err != nil {
			if o.within != nil {
				return fmt.Errorf("%s: %w; it must be %v", name, err, o.within)
			}
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if again && o.givenAs != name && textOf(o.value) != old {
		return fmt.Errorf("%s and %s are the same option, but have different values, %s and %s; give one of them",
			o.givenAs, name, old, textOf(o.value))
	}
	o.source, o.givenAs = from, name
	return nil
}

// expand replaces home folders and environment variables in the texts of a path.
func (o *option) expand(name string, texts []string) error {
	for i := range texts {
		if !o.path {
			break
		}
		text, err := expandPath(texts[i])
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		texts[i] = text
	}
	return nil
}

// spelled returns a text with True and False, as Python writes them, in small letters if
// the option can be true instead of a text.
func (o *option) spelled(text string) string {
	small := strings.ToLower(text)
	if (o.bare == "true" || o.fallback == "true") && (small == "true" || small == "false") {
		return small
	}
	return text
}
