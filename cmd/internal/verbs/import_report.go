package verbs

import (
	"fmt"
	"strings"

	"qlora/cmd/internal/exit"
	"qlora/cmd/internal/options"
)

// An importReport says what became of the keys of another program's file.
type importReport struct {
	set      *options.Set
	tool     string
	file     string
	outcomes []*options.Outcome
	rest     []error // of the options together
}

// yaml returns the options as a file that --config reads, with what cannot be done as
// comments.
func (i importReport) yaml() []byte {
	remarks := map[string]string{}
	comments := []string{fmt.Sprintf("%s, a file of %s, by qlora import", i.file, i.tool)}
	for _, o := range i.outcomes {
		for _, g := range o.Sets {
			if o.Line == 0 {
				remarks[g.Name] = strings.Join(o.Notes, "; ")
			}
		}
		if len(o.Refused) > 0 {
			comments = append(comments, "cannot be done: "+strings.Replace(strings.TrimPrefix(line(o), "cannot: "), " → cannot", "", 1))
		}
	}
	for _, err := range i.rest {
		comments = append(comments, "cannot be done: "+err.Error())
	}
	return i.set.GivenYAML(func(name string) string { return remarks[name] }, comments...)
}

// print writes a line for each key.
func (i importReport) print(c *call) {
	var taken, without, refused, defaults int
	var empty []string
	for _, o := range i.outcomes {
		switch {
		case len(o.Refused) > 0:
			refused++
		case o.Name == "" && len(o.Sets) > 0:
			defaults++
		case o.Name == "":
		case o.Value == "" && len(o.Sets) == 0:
			empty = append(empty, o.Name)
			continue
		case len(o.Sets) > 0:
			taken++
		default:
			without++
		}
		fmt.Fprintln(c.err, line(o))
	}
	if len(empty) > 0 {
		fmt.Fprintf(c.err, "without a value: %s\n", strings.Join(empty, ", "))
	}
	for _, err := range i.rest {
		fmt.Fprintf(c.err, "cannot: %v\n", err)
	}
	fmt.Fprintf(c.err, "%s, a file of %s: %d keys taken, %d without effect, %d that cannot be done; %d defaults of %s written out\n",
		i.file, i.tool, taken, without, refused+len(i.rest), defaults, i.tool)
}

// result returns an error if something that changes the result cannot be done.
func (i importReport) result() error {
	var names []string
	for _, o := range i.outcomes {
		if len(o.Refused) > 0 && o.Name != "" {
			names = append(names, o.Name)
		}
	}
	switch {
	case len(names) == 0 && len(i.rest) == 0:
		return nil
	case len(names) == 0:
		return exit.Wrongf("%s: the options do not go together as they are; the file that was written needs a change", i.file)
	}
	return exit.Wrongf("%s: %s cannot be done as it is there; all else is written", i.file, strings.Join(names, ", "))
}

// line returns what an entry or a default became.
func line(o *options.Outcome) string {
	var b strings.Builder
	if o.Name != "" {
		fmt.Fprintf(&b, "%s: %s → ", o.Name, brief(o.Value))
	}
	var sets []string
	for _, g := range o.Sets {
		sets = append(sets, g.Name+": "+brief(g.Text))
	}
	notes := strings.Join(o.Notes, "; ")
	switch {
	case len(o.Refused) > 0:
		b.WriteString("cannot: " + strings.TrimPrefix(strings.Join(o.Refused, "; "), o.Name+": "))
	case len(sets) > 0:
		b.WriteString(strings.Join(sets, ", "))
		if notes != "" {
			b.WriteString(" (" + notes + ")")
		}
	case notes != "" && o.Name != "":
		b.WriteString("no effect: " + notes)
	case notes != "":
		b.WriteString(notes)
	default:
		b.WriteString("nothing to do: it is so anyway")
	}
	return dashed(b.String())
}

// brief returns a value on one short line.
func brief(value string) string {
	value = strings.Join(strings.Fields(value), " ")
	if value == "" {
		return `""`
	}
	if runes := []rune(value); len(runes) > 70 {
		return string(runes[:69]) + "…"
	}
	return value
}
