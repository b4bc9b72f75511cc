package options

import (
	"fmt"
	"reflect"
	"strings"

	opt "qlora/option"
)

// A Set is the options of one command. New returns one.
type Set struct {
	// Notes are lines for the user on settings that have no effect. Resolve sets them.
	Notes []string

	// Recipes, if not nil, translates the entries of another program's file. It reports
	// whether the entries are of such a file.
	Recipes func([]Entry) (Recipe, bool)

	sections []section
	byName   map[string]*option // by every name
	renamed  []string           // names in byName that Adopt added
	foreign  map[string]*foreign
	pending  []string // of foreign, given and not settled
	problems []error
	config   string // the YAML file, "" for none

	outcomes    []*Outcome
	current     *Outcome // of the entry or setting that is being applied
	defaults    []deferred
	ineffective []Given // names, and why they have no effect
}

// A section is the options of one struct, under a title in the help.
type section struct {
	title   string
	options []*option
}

// New returns a set with no options except --config.
func New() *Set {
	return &Set{byName: map[string]*option{}, foreign: map[string]*foreign{}}
}

// Add adds the options of the struct that target points to. It panics if an option of
// the same name exists, or if a field's type cannot be an option.
func (s *Set) Add(title string, target any) { s.add(title, target, false) }

// AddHidden adds options that the command accepts and ignores, so that one YAML file or
// command line serves several commands.
func (s *Set) AddHidden(target any) { s.add("", target, true) }

func (s *Set) add(title string, target any, hidden bool) {
	sec := section{title: title}
	s.walk(reflect.ValueOf(target).Elem(), nil, func(o *option) {
		o.hidden = hidden
		sec.options = append(sec.options, o)
		for _, name := range append([]string{o.name}, o.aliases...) {
			if s.byName[name] != nil {
				panic(fmt.Sprintf("options: %s is defined twice", name))
			}
			s.byName[name] = o
		}
	})
	s.sections = append(s.sections, sec)
}

// walk finds the options of v. ranges are those of the struct that contains v.
func (s *Set) walk(v reflect.Value, ranges opt.Ranges, found func(*option)) {
	if ranged, ok := reflect.TypeAssert[opt.Ranged](v.Addr()); ok {
		ranges = ranged.Ranges()
	}
	for field, value := range v.Fields() {
		name, tagged := field.Tag.Lookup("option")
		switch {
		case tagged:
			kind := kindOf(field.Type)
			o := &option{
				name:     name,
				help:     field.Tag.Get("help"),
				unit:     field.Tag.Get("unit"),
				bare:     field.Tag.Get("bare"),
				null:     field.Tag.Get("null"),
				nothing:  field.Tag.Get("nothing"),
				many:     field.Type == listType || field.Tag.Get("many") != "",
				path:     field.Tag.Get("path") != "",
				literal:  field.Tag.Get("literal") != "",
				hub:      field.Tag.Get("hub"),
				secret:   field.Tag.Get("secret") != "",
				value:    value,
				fallback: textOf(value),
			}
			if r, ok := ranges[name]; ok {
				o.within = &r
			}
			if aliases := field.Tag.Get("alias"); aliases != "" {
				o.aliases = strings.Split(aliases, ",")
			}
			if values := field.Tag.Get("values"); values != "" {
				o.values = strings.Split(values, ",")
			}
			if kind == "bool" {
				o.bare = "true"
			}
			found(o)
		case field.Type.Kind() == reflect.Struct:
			s.walk(value, ranges, found)
		}
	}
}

// Given reports whether the command line or the YAML file set the option.
func (s *Set) Given(name string) bool {
	o := s.byName[name]
	if o == nil {
		panic("options: there is no option " + name)
	}
	return o.source != fromDefault
}

// give sets the option called name, or records the setting. where precedes the name in
// errors.
func (s *Set) give(name, text string, from source, where string) error {
	if f := s.foreign[name]; f != nil {
		s.record(f, text, from, where)
		return nil
	}
	o := s.byName[name]
	return s.became(o, text, o.give(name, text, from))
}
