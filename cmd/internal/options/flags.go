package options

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"qlora/cmd/internal/exit"
)

// Bind makes flags of the options: `-` and `_` are the same in their names.
// The command takes no arguments besides, and its help is the set's.
func (s *Set) Bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		return pflag.NormalizedName(canonical(name))
	})
	flags.SortFlags = false
	flags.StringVar(&s.config, "config", "", "a YAML file of options, under the same names; the command line wins over it")
	for _, sec := range s.sections {
		for _, o := range sec.options {
			for _, name := range append([]string{o.name}, o.aliases...) {
				flag := flags.VarPF(&flagValue{set: s, name: name, kind: kindOf(o.value.Type())}, name, "", o.help)
				flag.DefValue = o.fallback
				flag.NoOptDefVal = o.bare
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.translated)) {
		flag := flags.VarPF(&flagValue{set: s, name: name, kind: "bool"}, name, "", s.translated[name].help)
		flag.NoOptDefVal = "true"
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return exit.AsWrong(s.flagError(err)) })
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return exit.Wrongf("%q belongs to no option; options are written --name value", args[0])
		}
		return nil
	}
	cmd.SetHelpFunc(func(cmd *cobra.Command, _ []string) { fmt.Fprint(cmd.OutOrStdout(), s.help(cmd)) })
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
}

// Resolve reads the YAML file that the command line names, if it does. It is
// called once, after the command line has been read.
func (s *Set) Resolve() error {
	if s.config == "" {
		return nil
	}
	return exit.AsWrong(s.readFile(s.config))
}

// flagError says what pflag found wrong in this package's words.
func (s *Set) flagError(err error) error {
	if unknown := (*pflag.NotExistError)(nil); errors.As(err, &unknown) {
		if short := unknown.GetSpecifiedShortnames(); short != "" {
			return fmt.Errorf("there is no option -%s; options are written with two dashes, --name value", short)
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

func (f *flagValue) Set(text string) error { return f.set.give(f.name, text, fromCommandLine) }
func (f *flagValue) Type() string          { return f.kind }
func (f *flagValue) String() string        { return "" }

// JoinValues turns `--name value` into `--name=value` for the options that may
// stand without a value, which pflag would not look for one behind. root's
// command line args is the one of the command they name.
func JoinValues(root *cobra.Command, args []string) []string {
	cmd, _, err := root.Find(args)
	if err != nil {
		return args
	}
	var joined []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		joined = append(joined, arg)
		name, long := strings.CutPrefix(arg, "--")
		if arg == "--" {
			return append(joined, args[i+1:]...)
		}
		if !long || strings.Contains(name, "=") {
			continue
		}
		flag := cmd.Flags().Lookup(name)
		switch {
		case flag == nil || i+1 == len(args):
		case flag.NoOptDefVal == "": // the next is its value, whatever it looks like
			i++
			joined = append(joined, args[i])
		case strings.HasPrefix(args[i+1], "-"):
		case flag.Value.Type() == "bool" && !isBool(args[i+1]):
		default:
			i++
			joined[len(joined)-1] = arg + "=" + args[i]
		}
	}
	return joined
}

func isBool(text string) bool {
	_, err := strconv.ParseBool(text)
	return err == nil
}
