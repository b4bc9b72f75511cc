package options

import (
	"cmp"
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
	fmt.Fprintf(&b, "%s\n\nUsage: %s\n", about, Usage(cmd))
	for _, sec := range s.Sections() {
		fmt.Fprintf(&b, "\n%s:\n", sec.Title)
		for _, o := range sec.Options {
			helpLine(&b, "--"+o.Name+" "+o.Kind, fmt.Sprintf("%s [%s]", o.Help, o.Extra()))
		}
	}
	b.WriteString("\nAlso:\n")
	for _, o := range s.Also(cmd) {
		helpLine(&b, "--"+o.Name+" "+o.Kind, o.Help)
	}
	return b.String()
}

// Usage returns the line that shows how a command is called.
func Usage(cmd *cobra.Command) string {
	_, arguments, _ := strings.Cut(cmd.Use, " ")
	return strings.Join(strings.Fields(cmd.CommandPath()+" "+arguments+" [--option value]..."), " ")
}

// Also returns what the command's help lists after the options: --config, --help and
// settings of other programs with a line of their own.
func (s *Set) Also(cmd *cobra.Command) []Info {
	var all []Info
	cmd.InitDefaultHelpFlag()
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden && s.byName[f.Name] == nil {
			all = append(all, Info{Name: f.Name, Kind: strings.Replace(f.Value.Type(), "string", "text", 1), Help: f.Usage})
		}
	})
	return all
}

// Extra returns the unit, the default and the other names of an option, for the brackets
// after its help.
func (o Info) Extra() string {
	extra := "default " + cmp.Or(o.Default, "none")
	if o.Unit != "" {
		extra = o.Unit + "; " + extra
	}
	if len(o.Aliases) > 0 {
		extra += "; also --" + strings.Join(o.Aliases, ", --")
	}
	return extra
}

func helpLine(b *strings.Builder, name, text string) {
	fmt.Fprintf(b, "  %-*s %s\n", helpColumn-3, name, text)
}
