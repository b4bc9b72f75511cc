package options

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"qlora/cmd/internal/exit"
)

// Bind adds the options to cmd as flags; `-` and `_` in names are the same. The
// command takes no other arguments, and its help is the set's.
func (s *Set) Bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		return pflag.NormalizedName(canonical(name))
	})
	flags.SortFlags = false
	flags.Var(&configValue{s}, "config", "YAML file of options under the same names; the command line overrides it")
	for _, sec := range s.sections {
		for _, o := range sec.options {
			for _, name := range append([]string{o.name}, o.aliases...) {
				flag := flags.VarPF(&flagValue{set: s, name: name, kind: kindOf(o.value.Type())}, name, "", o.help)
				flag.DefValue = o.fallback
				flag.NoOptDefVal = o.bare
				flag.Hidden = o.hidden || name != o.name
				s.completed(cmd, name, o.complete)
			}
		}
	}
	s.completed(cmd, "config", completeConfig)
	for _, name := range s.renamed {
		o := s.byName[name]
		flag := flags.VarPF(&flagValue{set: s, name: name, kind: kindOf(o.value.Type())}, name, "", "")
		flag.NoOptDefVal, flag.Hidden = o.bare, true
	}
	for _, name := range slices.Sorted(maps.Keys(s.foreign)) {
		f := s.foreign[name]
		flag := flags.VarPF(&flagValue{set: s, name: name, kind: "text"}, name, "", f.Help)
		flag.Hidden = f.Help == ""
		if f.Bool {
			flag.Value.(*flagValue).kind, flag.NoOptDefVal = "bool", "true"
		}
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return exit.AsWrong(s.flagError(err)) })
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return exit.Wrongf("%q does not belong to an option; write options as --name value", args[0])
		}
		return nil
	}
	cmd.SetHelpFunc(func(cmd *cobra.Command, _ []string) { fmt.Fprint(cmd.OutOrStdout(), s.help(cmd)) })
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
}

// Resolve reads the YAML file of --config, if given, applies the settings that are no
// options, and checks that every number is in its range. Its error has every name that
// cannot be used. Call it once, after the command line was parsed.
func (s *Set) Resolve() error {
	if s.config != "" {
		path, err := expandPath(s.config)
		if err != nil {
			return exit.Wrongf("--config: %w", err)
		}
		if err := s.readFile(path); err != nil {
			return exit.AsWrong(err)
		}
	}
	s.settle()
	s.checkRanges()
	return exit.AsWrong(s.wrong())
}

// checkRanges records all numbers outside their range. Those that the command ignores may
// have any value.
func (s *Set) checkRanges() {
	for _, sec := range s.sections {
		for _, o := range sec.options {
			if o.within == nil || o.hidden {
				continue
			}
			if err := o.within.Check(o.name, o.value); err != nil {
				s.problem("", err)
			}
		}
	}
}

// flagError rewrites an error of pflag in this package's words.
func (s *Set) flagError(err error) error {
	if unknown := (*pflag.NotExistError)(nil); errors.As(err, &unknown) {
		if short := unknown.GetSpecifiedShortnames(); short != "" {
			return fmt.Errorf("there is no option -%s; write options with two dashes, --name value", short)
		}
		return s.unknown(unknown.GetSpecifiedName())
	}
	if invalid := (*pflag.InvalidValueError)(nil); errors.As(err, &invalid) {
		return fmt.Errorf("--%w", invalid.Unwrap())
	}
	if missing := (*pflag.ValueRequiredError)(nil); errors.As(err, &missing) {
		return fmt.Errorf("--%s needs a value", canonical(missing.GetSpecifiedName()))
	}
	return err
}

// A flagValue is an option under one of its names.
type flagValue struct {
	set  *Set
	name string
	kind string
}

func (f *flagValue) Set(text string) error { return f.set.give(f.name, text, fromCommandLine, "--") }
func (f *flagValue) Type() string          { return f.kind }
func (f *flagValue) String() string        { return "" }

// many reports whether several values may follow the flag.
func (f *flagValue) many() bool {
	if o := f.set.byName[f.name]; o != nil {
		return o.many
	}
	return f.kind != "bool"
}

// A configValue is the path of --config.
type configValue struct{ set *Set }

func (c *configValue) Set(text string) (err error) {
	c.set.config, err = expandPath(text)
	return err
}

func (c *configValue) Type() string   { return "text" }
func (c *configValue) String() string { return "" }
