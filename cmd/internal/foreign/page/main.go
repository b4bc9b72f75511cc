// Page writes docs/options.md: what qlora train does with each field of the configuration
// classes of transformers, TRL and PEFT, and with the names of other tools.
//
//	go run ./cmd/internal/foreign/page >docs/options.md
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"qlora/cmd/internal/foreign"
	"qlora/cmd/internal/options"
	"qlora/cmd/internal/verbs"
)

func main() {
	classes, err := readClasses("cmd/internal/foreign/testdata/fields.json")
	if err != nil {
		fmt.Fprintln(os.Stderr, "page:", err)
		os.Exit(1)
	}
	fmt.Print(page(classes))
}

// A class is a configuration class with its fields.
type class struct {
	Package, Version, Class string
	Fields                  []field
}

type field struct {
	Name    string
	Default any
}

func readClasses(path string) ([]class, error) {
	data, err := os.ReadFile(filepath.FromSlash(path))
	if err != nil {
		return nil, err
	}
	var classes []class
	return classes, json.Unmarshal(data, &classes)
}

const head = `# The settings of other programs

What ` + "`qlora train`" + ` does with each field of the configuration classes of transformers, TRL and PEFT, on the command line and in the YAML file of
` + "`--config`" + ` alike. ` + "`qlora plan` and `qlora preview`" + ` do the same. Written by ` + "`make options`" + `.

- **taken**: the field is an option with the same meaning, or another name of one. A default that differs is given.
- **no effect**: the field changes nothing here. A value that is not the default gets one line that says so.
- **refused**: the value would change the result. The message says what takes its place. The default is accepted.

` + "`-` and `_`" + ` in names are the same. A boolean is ` + "`--bf16`, `--bf16 True`, `--bf16=false` or `--no_bf16`" + `; true, yes, on and 1 are the same, as are numbers like 2e-4, 1_000 and 1e3.
Several values follow a name as in ` + "`--target_modules q_proj v_proj`" + `. In a YAML file null leaves the default, except that a ` + "`max_length`" + ` of null has no limit, as in TRL. A mapping
such as ` + "`lr_scheduler_kwargs`" + ` is JSON on the command line and a mapping in YAML. All names that cannot be used are in one error.
`

// page returns docs/options.md.
func page(classes []class) string {
	var b strings.Builder
	b.WriteString(head)
	set := verbs.TrainOptions()
	listed := map[string]bool{}
	own := map[string]field{} // the fields of TrainingArguments
	for i, c := range classes {
		fmt.Fprintf(&b, "\n## %s\n\n%s %s.", c.Class, c.Package, c.Version)
		if c.Class == "SFTConfig" {
			b.WriteString(" It has the fields of TrainingArguments; these are new or have another default.")
		}
		b.WriteString("\n\n| field | default | here |\n|---|---|---|\n")
		for _, f := range c.Fields {
			if before, ok := own[f.Name]; ok && text(before.Default) == text(f.Default) {
				continue
			}
			if i == 0 {
				own[f.Name] = f
			}
			listed[f.Name] = true
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.Name, code(text(f.Default)), verdict(set, f))
		}
	}
	b.WriteString("\n## Names of older versions, other tools and scripts\n\n| name | here |\n|---|---|\n")
	rest := foreign.Settings()
	slices.SortFunc(rest, func(x, y options.Setting) int { return cmp.Compare(x.Name, y.Name) })
	for _, s := range rest {
		if d, ok := set.Describe(s.Name); ok && !listed[s.Name] && d.Option != s.Name {
			fmt.Fprintf(&b, "| `%s` | %s |\n", s.Name, verdict(set, field{Name: s.Name}))
		}
	}
	return b.String()
}

// verdict returns what the command does with a field.
func verdict(set *options.Set, f field) string {
	d, ok := set.Describe(f.Name)
	s := d.Setting
	switch {
	case !ok:
		return "unknown"
	case d.Option != "":
		here := "taken"
		if d.Option != f.Name {
			here += ": `" + d.Option + "`"
		}
		if other := differs(f.Default, d.Default); other != "" {
			here += "; default " + code(other)
		}
		return here
	case s.Sets != nil:
		return "taken: " + s.Means
	case s.Note != "":
		return "no effect: " + s.Note
	}
	var but []string
	for _, value := range s.Quiet {
		if value != text(f.Default) {
			but = append(but, "`"+value+"`")
		}
	}
	unless := ""
	if len(but) > 0 {
		unless = " unless " + strings.Join(but, ", ")
	}
	return "refused" + unless + ": " + s.Refuse
}

// differs returns this program's default if it is not the class's. Nothing, null, none,
// false and 0 are the same.
func differs(theirs any, ours string) string {
	there := text(theirs)
	if theirs == nil {
		there = ""
	}
	if neutral(there) && neutral(ours) || there == ours {
		return ""
	}
	if x, err := strconv.ParseFloat(there, 64); err == nil {
		if y, err := strconv.ParseFloat(ours, 64); err == nil && x == y {
			return ""
		}
	}
	return cmp.Or(ours, "none")
}

func neutral(value string) bool {
	return slices.Contains([]string{"", "null", "none", "false", "0", "[]", "{}"}, value)
}

// text returns a default as it is written on the command line.
func text(value any) string {
	if s, ok := value.(string); ok {
		return s
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		panic(err) // the value comes from JSON
	}
	return strings.TrimSpace(b.String())
}

func code(value string) string {
	if value == "" || value == "null" {
		return ""
	}
	return "`" + value + "`"
}
