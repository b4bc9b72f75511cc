package options

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"

	opt "qlora/option"
)

// An Entry is a key of a file of options with its value.
type Entry struct {
	Name string
	Text string // a plain value as it is, plain ones of a list joined by commas, others as JSON
	JSON string // the value as JSON
	Null bool   // the key has no value
	Line int

	value ast.Node // nil: Text is the value
}

// A Recipe is the translation of another program's file.
type Recipe struct {
	Tool  string // the program's name
	Steps []Step
}

// A Step is what one entry of another program's file becomes, or one of its defaults.
type Step struct {
	Entry  int     // index of the entry; Default: there is none
	Pass   bool    // the set's own table says what the entry means
	Sets   []Given // options and settings; defaults of what is not given otherwise
	Note   string  // a remark on Sets or, if there are none, why the entry has no effect
	Refuse string  // why it cannot be done, and what to do instead
}

// Default is the Entry of a Step for a default of the other program.
const Default = -1

// An Outcome is what an entry of a file became.
type Outcome struct {
	Line        int    // 0 for a default
	Name, Value string // of the entry; "" for a default
	Sets        []Given
	Notes       []string // remarks on Sets or, if there are none, why it has no effect
	Refused     []string
}

// deferred is a default of another program, which is applied after all that is given.
type deferred struct {
	step Step
	from *Outcome
}

// Read sets options from the entries of a file, and returns what each became, in the
// file's order, and then the other program's defaults. It returns the other program's
// name, "" for a file of this one.
func (s *Set) Read(path string, entries []Entry) (tool string, outcomes []*Outcome) {
	tool = s.take(path, entries)
	s.settle()
	return tool, s.outcomes
}

// ReadYAML returns the entries of a file of options in YAML.
func ReadYAML(path string, data []byte) ([]Entry, error) {
	body, err := parseFile(path, data)
	if err != nil {
		return nil, err
	}
	return entriesOf(path, body)
}

// entriesOf returns the entries of a mapping.
func entriesOf(path string, body []*ast.MappingValueNode) ([]Entry, error) {
	seen := map[string]int{}
	named := anchors{}
	var entries []Entry
	for _, pair := range body {
		value := named.resolve(pair.Value)
		e := Entry{Name: canonical(pair.Key.GetToken().Value), Line: pair.Key.GetToken().Position.Line, value: value}
		if before, ok := seen[e.Name]; ok {
			return nil, fmt.Errorf("%s:%d: %s is set twice, first in line %d; keep one", path, e.Line, e.Name, before)
		}
		seen[e.Name] = e.Line
		if _, e.Null = value.(*ast.NullNode); e.Null {
			entries = append(entries, e)
			continue
		}
		// A value that has no text is refused when it is given.
		e.Text, _ = settingText(value)
		e.JSON, _ = asJSON(value)
		entries = append(entries, e)
	}
	return entries, nil
}

// take applies the entries of a file, and returns the name of the program whose file it is.
func (s *Set) take(path string, entries []Entry) (tool string) {
	recipe, foreign := Recipe{}, false
	if s.Recipes != nil {
		recipe, foreign = s.Recipes(entries)
	}
	if !foreign {
		for i := range entries {
			recipe.Steps = append(recipe.Steps, Step{Entry: i, Pass: true})
		}
	}
	for _, step := range recipe.Steps {
		o := &Outcome{}
		if step.Entry == Default {
			s.defaults = append(s.defaults, deferred{step, o})
			continue
		}
		e := entries[step.Entry]
		o.Line, o.Name, o.Value = e.Line, e.Name, e.Text
		s.outcomes = append(s.outcomes, o)
		s.current = o
		s.apply(step, e, fmt.Sprintf("%s:%d: ", path, e.Line))
	}
	s.current = nil
	return recipe.Tool
}

// apply does what a step says of an entry.
func (s *Set) apply(step Step, e Entry, where string) {
	switch {
	case step.Pass:
		if err := s.giveEntry(e, where); err != nil {
			s.problem(where, err)
		}
	case step.Refuse != "":
		s.problem(where, fmt.Errorf("%s: %s", e.Name, step.Refuse))
	}
	for _, g := range step.Sets {
		if err := s.giveNamed(e.Name, g, where); err != nil {
			s.problem(where, err)
		}
	}
	switch {
	case step.Note == "":
	case len(step.Sets) == 0 && !step.Pass:
		s.noEffect(e.Name, step.Note)
	default:
		s.Notes = append(s.Notes, e.Name+": "+step.Note)
		s.current.Notes = append(s.current.Notes, step.Note)
	}
}

// giveEntry sets the option or setting that has the entry's name.
func (s *Set) giveEntry(e Entry, where string) error {
	switch {
	case s.foreign[e.Name] == nil && s.byName[e.Name] == nil:
		return s.unknown(e.Name)
	case e.value == nil:
		return s.give(e.Name, e.Text, fromFile, where)
	}
	return s.giveNode(e.Name, e.value, where)
}

// giveNamed sets what the entry called name means.
func (s *Set) giveNamed(name string, g Given, where string) error {
	if o := s.byName[g.Name]; o != nil {
		return s.became(o, g.Text, o.giveAll(name, []string{g.Text}, fromFile, o.value.Type() == listType && strings.HasPrefix(g.Text, "{")))
	}
	if s.foreign[g.Name] == nil {
		return fmt.Errorf("%s: %w", name, s.unknown(g.Name))
	}
	return s.give(g.Name, g.Text, fromFile, where)
}

// applyDefaults applies the other program's defaults of what is not given.
func (s *Set) applyDefaults() {
	var names []string
	for _, d := range s.defaults {
		s.current = d.from
		for _, g := range d.step.Sets {
			o, f := s.byName[g.Name], s.foreign[g.Name]
			if o != nil && o.source != fromDefault || f != nil && f.source != fromDefault {
				continue
			}
			if err := s.giveNamed(g.Name, g, ""); err != nil {
				s.problem("", err)
			}
			names = append(names, g.Name+" "+quoteEmpty(g.Text))
		}
		if len(d.from.Sets) > 0 || len(d.step.Sets) == 0 {
			d.from.Notes = append(d.from.Notes, d.step.Note)
			s.outcomes = append(s.outcomes, d.from)
		}
		if len(d.step.Sets) == 0 {
			s.Notes = append(s.Notes, d.step.Note)
		}
	}
	if len(names) > 0 {
		s.Notes = append(s.Notes, "the file leaves open, and has by its program's default: "+strings.Join(names, ", "))
	}
	s.current, s.defaults = nil, nil
}

func quoteEmpty(text string) string {
	if text == "" {
		return `""`
	}
	return text
}

// became records what the current entry set, unless err says that it could not.
func (s *Set) became(o *option, text string, err error) error {
	if err == nil && s.current != nil {
		s.current.Sets = append(s.current.Sets, Given{o.name, text})
	}
	return err
}

// Ranges returns the errors of all numbers outside their range.
func (s *Set) Ranges() error {
	before := s.problems
	s.problems = nil
	s.checkRanges()
	err := errors.Join(s.problems...)
	s.problems = before
	return err
}

// Withdraw takes back the options that the errors in err refuse: they have their default
// again, and the outcome that set one is refused. It returns the errors that name no
// option that a file set.
func (s *Set) Withdraw(err error) []error {
	var rest []error
	for _, one := range leaves(err) {
		wrong := (*opt.Error)(nil)
		if errors.As(one, &wrong) {
			if o := s.byName[wrong.Option]; o != nil && o.source == fromFile && s.withdraw(o, one) {
				continue
			}
		}
		rest = append(rest, one)
	}
	return rest
}

// leaves returns the errors that err joins, itself if it joins none.
func leaves(err error) []error {
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		joined, ok := inner.(interface{ Unwrap() []error })
		if !ok {
			continue
		}
		var all []error
		for _, one := range joined.Unwrap() {
			all = append(all, leaves(one)...)
		}
		return all
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

func (s *Set) withdraw(o *option, err error) bool {
	found := false
	for _, outcome := range s.outcomes {
		for i, g := range outcome.Sets {
			if g.Name == o.name {
				outcome.Sets = append(outcome.Sets[:i:i], outcome.Sets[i+1:]...)
				outcome.Refused = append(outcome.Refused, err.Error())
				found = true
				break
			}
		}
	}
	if found {
		o.source = fromDefault
		o.value.SetZero()
		if o.value.Type() == listType && o.fallback != "" {
			o.value.Set(reflect.ValueOf(strings.Split(o.fallback, ",")))
		} else if o.value.Type() != listType && o.fallback != "" {
			return setText(o.value, o.fallback) == nil
		}
	}
	return found
}
