package options

import "github.com/spf13/cobra"

// A Description says what a command does with a name.
type Description struct {
	Option  string  // the option that has the name, "" if none has
	Default string  // the option's default as text
	Setting Setting // if Option is "" and the name is known
}

// Describe returns what the command does with a name, and whether it knows the name.
func (s *Set) Describe(name string) (Description, bool) {
	if o := s.byName[name]; o != nil {
		return Description{Option: o.name, Default: o.fallback}, true
	}
	if f := s.foreign[name]; f != nil {
		return Description{Setting: f.Setting}, true
	}
	return Description{}, false
}

// Of returns the options of a command that Bind was called with, nil for another one.
func Of(cmd *cobra.Command) *Set {
	flag := cmd.Flags().Lookup("config")
	if flag == nil {
		return nil
	}
	return flag.Value.(*configValue).set
}

// A Section is the options under one title of a command's help.
type Section struct {
	Title   string
	Options []Info
}

// An Info is what the help says of one option.
type Info struct {
	Name, Kind, Help string
	Unit             string   // what a number counts, "" for nothing in particular
	Default          string   // as text, "" for none
	Aliases          []string // other names
	Values           []string // that a shell completes
}

// Sections returns the options that the help lists, in its order.
func (s *Set) Sections() []Section {
	var all []Section
	for _, sec := range s.sections {
		if sec.title == "" {
			continue
		}
		one := Section{Title: sec.title}
		for _, o := range sec.options {
			one.Options = append(one.Options, Info{
				Name: o.name, Kind: kindOf(o.value.Type()), Help: o.help,
				Unit: o.unit, Default: o.fallback, Aliases: o.aliases, Values: o.values,
			})
		}
		all = append(all, one)
	}
	return all
}
