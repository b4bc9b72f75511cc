// Package recipe reads the configuration files of other training programs: YAML files of
// Axolotl (https://docs.axolotl.ai/docs/config-reference.html) and of LLaMA-Factory
// (src/llamafactory/hparams there), and the arguments of TRL's and transformers' scripts.
// It translates their keys to this program's options, with the other program's defaults.
package recipe

import (
	"slices"
	"strconv"
	"strings"

	"qlora/cmd/internal/options"
)

// A reader translates the entries of one file.
type reader struct {
	tool    string
	entries []options.Entry
	byName  map[string]options.Entry // those that have a value
	steps   []options.Step
}

// A rule says what an entry becomes.
type rule func(r *reader, e options.Entry) options.Step

// Read translates a file of Axolotl or of LLaMA-Factory. It reports whether the entries
// are of one.
func Read(entries []options.Entry) (options.Recipe, bool) {
	r := newReader(entries)
	switch {
	case r.isAxolotl():
		r.axolotl()
	case r.isFactory():
		r.factory()
	default:
		return options.Recipe{}, false
	}
	return options.Recipe{Tool: r.tool, Steps: r.steps}, true
}

func newReader(entries []options.Entry) *reader {
	r := &reader{entries: entries, byName: map[string]options.Entry{}}
	for _, e := range entries {
		if !e.Null && e.Text != "" {
			r.byName[e.Name] = e
		}
	}
	return r
}

// translate applies the rules to the entries in their order. An entry without a rule has
// the meaning that its name has on the command line.
func (r *reader) translate(rules map[string]rule) {
	for i, e := range r.entries {
		step := options.Step{Pass: true}
		if !r.has(e.Name) {
			step = options.Step{} // as if it were absent
		} else if rule, ok := rules[e.Name]; ok {
			step = rule(r, e)
		}
		step.Entry = i
		r.steps = append(r.steps, step)
	}
}

// has reports whether one of the names has a value in the file.
func (r *reader) has(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { _, ok := r.byName[name]; return ok })
}

// count returns how many of the names the file has.
func (r *reader) count(names ...string) int {
	n := 0
	for _, name := range names {
		if r.has(name) {
			n++
		}
	}
	return n
}

func (r *reader) text(name string) string { return r.byName[name].Text }

// isTrue reports whether the file has the name with a true value.
func (r *reader) isTrue(name string) bool {
	on, err := options.Boolean(r.text(name))
	return err == nil && on
}

// number returns the value of a name, or another if the file does not have a number there.
func (r *reader) number(name string, otherwise float64) float64 {
	if x, err := strconv.ParseFloat(r.text(name), 64); err == nil {
		return x
	}
	return otherwise
}

// positive reports whether the file has a number above 0 under the name.
func (r *reader) positive(name string) bool { return r.number(name, 0) > 0 }

// fallback adds a default of the program, unless the file has one of the names, which are
// those under which it sets the option.
func (r *reader) fallback(option, value string, names ...string) {
	if r.has(option) || r.has(names...) {
		return
	}
	r.presume(option, value)
}

// presume adds a default of the program, whatever the file has.
func (r *reader) presume(option, value string) {
	r.steps = append(r.steps, options.Step{Entry: options.Default, Sets: []options.Given{{Name: option, Text: value}}, Note: r.tool + "'s default"})
}

// remark adds a line on the file as a whole.
func (r *reader) remark(text string) {
	r.steps = append(r.steps, options.Step{Entry: options.Default, Note: text})
}

// Steps for rules.

func note(text string) options.Step   { return options.Step{Note: text} }
func refuse(text string) options.Step { return options.Step{Refuse: text} }
func pass() options.Step              { return options.Step{Pass: true} }

// give sets options, "name=value" each.
func give(given ...string) options.Step {
	var step options.Step
	for _, one := range given {
		name, value, _ := strings.Cut(one, "=")
		step.Sets = append(step.Sets, options.Given{Name: name, Text: value})
	}
	return step
}

func remarked(step options.Step, text string) options.Step {
	step.Note = text
	return step
}

// renamed is the rule of a name whose value an option takes as it is.
func renamed(option string) rule {
	return func(_ *reader, e options.Entry) options.Step { return give(option + "=" + e.Text) }
}

// noted is the rule of a name without effect.
func noted(why string) rule {
	return func(*reader, options.Entry) options.Step { return note(why) }
}

// unlessOff is the rule of a name that is refused, unless its value turns it off.
func unlessOff(instead string) rule {
	return func(_ *reader, e options.Entry) options.Step {
		if off(e.Text) {
			return options.Step{}
		}
		return refuse(instead)
	}
}

// ifOn is the rule of a boolean that gives an option, name=value, if it is true.
func ifOn(pair string) rule {
	return func(_ *reader, e options.Entry) options.Step {
		if off(e.Text) {
			return options.Step{}
		}
		return give(pair)
	}
}

// off reports whether a value means that something is not wanted.
func off(text string) bool {
	on, err := options.Boolean(text)
	return err == nil && !on || slices.Contains([]string{"", "none", "null", "{}", "[]", "0.0"}, strings.ToLower(text))
}

// each adds a rule for several names.
func each(rules map[string]rule, one rule, names string) {
	for name := range strings.FieldsSeq(names) {
		rules[name] = one
	}
}

// decimal returns a number as text.
func decimal(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
