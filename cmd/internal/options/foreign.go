package options

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Setting is a name that other programs' users give to a command: a field of a
// configuration class or of another tool's file. Exactly one of Option, Sets, Note and
// Refuse says what the command does with it.
type Setting struct {
	Name   string
	Option string // of the same meaning; the name is another name of this option

	// Sets returns the options that the value sets. given returns the text of another
	// setting or option of the same command, "" if it is not given. An error says what
	// to do instead.
	Sets  func(value string, given func(name string) string) ([]Given, error)
	Means string // what Sets does, for the documentation

	Note   string // the setting has no effect, and why
	Refuse string // the setting is refused, and what takes its place

	// Quiet are the values to which neither Note nor Refuse applies, in any spelling:
	// Trainer's default, or what the command does anyway. An empty value is always
	// among them, and "*" stands for all.
	Quiet []string
	Bool  bool   // given without a value it is true
	Help  string // a line of --help; "" hides the name there
}

// Given is a name with its value as text.
type Given struct{ Name, Text string }

// foreign is a setting as the command line or the file gave it.
type foreign struct {
	Setting
	text   string
	source source
	where  string // what precedes the name in an error: "--" or "run.yaml:3: "
	from   *Outcome
}

// Adopt adds settings to the set. One whose name is an option already, or whose Option
// does not exist, is left out.
func (s *Set) Adopt(settings []Setting) {
	for _, one := range settings {
		o := s.byName[one.Option]
		switch {
		case s.byName[one.Name] != nil:
		case one.Option == "":
			if s.foreign[one.Name] != nil {
				panic("options: the setting " + one.Name + " is defined twice")
			}
			s.foreign[one.Name] = &foreign{Setting: one}
		case o != nil:
			s.byName[one.Name] = o
			s.renamed = append(s.renamed, one.Name)
		}
	}
}

// record stores the value of a setting until settle. A weaker source has no effect.
func (s *Set) record(f *foreign, text string, from source, where string) {
	if from >= f.source {
		f.text, f.source, f.where, f.from = text, from, where, s.current
		s.pending = append(s.pending, f.Name)
	}
}

// settle applies the recorded settings, in the order in which they were given, and then
// another program's defaults.
func (s *Set) settle() {
	s.settlePending()
	s.applyDefaults()
	s.settlePending()
	s.addNotes()
}

func (s *Set) settlePending() {
	done := map[string]bool{}
	for len(s.pending) > 0 {
		name := s.pending[0]
		s.pending = s.pending[1:]
		f := s.foreign[name]
		if done[name] {
			continue
		}
		done[name] = true
		s.current = f.from
		switch {
		case f.Bool && !f.quiet() && !isBool(f.text):
			s.problem(f.where, fmt.Errorf("%s: %q is neither true nor false", name, f.text))
		case f.Sets != nil:
			sets, err := f.Sets(f.text, s.Text)
			if err != nil {
				s.problem(f.where, fmt.Errorf("%s: %w", name, err))
				continue
			}
			for _, g := range sets {
				s.set(f, g)
			}
		case f.quiet():
		case f.Refuse != "":
			s.problem(f.where, fmt.Errorf("%s: %s", name, f.Refuse))
		default:
			s.noEffect(name, f.Note)
		}
	}
	s.current = nil
}

// noEffect records that a name has no effect.
func (s *Set) noEffect(name, why string) {
	s.ineffective = append(s.ineffective, Given{name, why})
	if s.current != nil {
		s.current.Notes = append(s.current.Notes, why)
	}
}

// addNotes adds a line to Notes for each reason why names have no effect.
func (s *Set) addNotes() {
	quiet := map[string][]string{} // the names by the note that they share
	var notes []string
	for _, g := range s.ineffective {
		if quiet[g.Text] == nil {
			notes = append(notes, g.Text)
		}
		quiet[g.Text] = append(quiet[g.Text], "`"+g.Name+"`")
	}
	s.ineffective = nil
	for _, note := range notes {
		names := quiet[note]
		verb := "has"
		if len(names) > 1 {
			verb = "have"
		}
		s.Notes = append(s.Notes, fmt.Sprintf("%s %s no effect here: %s", strings.Join(names, ", "), verb, note))
	}
}

// set gives what a setting means.
func (s *Set) set(f *foreign, g Given) {
	name := canonical(g.Name)
	if other := s.foreign[name]; other != nil {
		s.record(other, g.Text, f.source, f.where)
		return
	}
	o := s.byName[name]
	if o == nil {
		s.problem(f.where, fmt.Errorf("%s: %w", f.Name, s.unknown(name)))
		return
	}
	if err := s.became(o, g.Text, o.give(f.Name, g.Text, f.source)); err != nil {
		s.problem(f.where, err)
	}
}

// Text returns the text of a setting or option, "" if it is not given.
func (s *Set) Text(name string) string {
	if f := s.foreign[name]; f != nil && f.source != fromDefault {
		return f.text
	}
	if o := s.byName[name]; o != nil && o.source != fromDefault {
		return textOf(o.value)
	}
	return ""
}

// quiet reports whether the given value needs no word.
func (f *foreign) quiet() bool {
	text := plain(f.text, f.Bool)
	return slices.Contains(f.Quiet, "*") || slices.Contains([]string{"", "null", "none", "{}", "[]"}, text) ||
		slices.ContainsFunc(f.Quiet, func(value string) bool { return plain(value, f.Bool) == text })
}

// plain returns a value in one of its spellings: 1.0 as 1, and of a boolean yes as true.
func plain(text string, isBool bool) string {
	text = strings.ToLower(strings.TrimSpace(text))
	if on, err := parseBool(text); isBool && err == nil {
		return strconv.FormatBool(on)
	}
	if x, err := strconv.ParseFloat(text, 64); err == nil {
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	return text
}

// Boolean returns the value of a setting that is true or false.
func Boolean(text string) (bool, error) { return parseBool(text) }
