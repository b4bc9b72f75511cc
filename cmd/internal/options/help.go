package options

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpColumn is the column at which an option's help starts.
const helpColumn = 42

// help returns the command's help: the options with their defaults and units.
func (s *Set) help(cmd *cobra.Command) string {
	var b strings.Builder
	about := cmd.Long
	if about == "" {
		about = cmd.Short
	}
	fmt.Fprintf(&b, "%s\n\nUsage: %s [--option value]...\n", about, cmd.CommandPath())
	for _, sec := range s.sections {
		if sec.title == "" {
			continue
		}
		fmt.Fprintf(&b, "\n%s:\n", sec.title)
		for _, o := range sec.options {
			helpLine(&b, "--"+o.name+" "+kindOf(o.value.Type()), o.explained())
		}
	}
	b.WriteString("\nAlso:\n")
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || s.byName[f.Name] != nil {
			return
		}
		helpLine(&b, "--"+f.Name+" "+strings.Replace(f.Value.Type(), "string", "text", 1), f.Usage)
	})
	return b.String()
}

func (o *option) explained() string {
	fallback := o.fallback
	if fallback == "" {
		fallback = "none"
	}
	extra := "default " + fallback
	if o.unit != "" {
		extra = o.unit + "; " + extra
	}
	if len(o.aliases) > 0 {
		extra += "; also --" + strings.Join(o.aliases, ", --")
	}
	return fmt.Sprintf("%s [%s]", o.help, extra)
}

func helpLine(b *strings.Builder, name, text string) {
	fmt.Fprintf(b, "  %-*s %s\n", helpColumn-3, name, text)
}
