package options

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// JoinValues rewrites root's command line for pflag, whose values follow a `=` where they
// are optional: `--name value` becomes `--name=value`, and several values of an option
// that takes them become several options, or are joined by commas if it is a text. `--no_name` becomes `--name=false`, as in
// transformers. Names that the command lacks are left out with their values, and are in
// the error of Resolve.
func JoinValues(root *cobra.Command, args []string) []string {
	cmd, _, err := root.Find(args)
	if err != nil || cmd.Flags().Lookup("config") == nil {
		return args
	}
	flags := cmd.Flags()
	set := flags.Lookup("config").Value.(*configValue).set
	var joined []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		given, long := strings.CutPrefix(arg, "--")
		if arg == "--" {
			return append(joined, args[i:]...)
		}
		if !long {
			joined = append(joined, arg)
			continue
		}
		name, text, hasValue := strings.Cut(given, "=")
		flag := flags.Lookup(name)
		if flag == nil && (name == "help" || strings.HasPrefix(name, "-") || name == "") {
			joined = append(joined, arg)
			continue
		}
		if flag == nil && !hasValue {
			if positive := strings.TrimPrefix(canonical(name), "no_"); isBoolFlag(flags.Lookup(positive)) && positive != canonical(name) {
				joined = append(joined, "--"+positive+"=false")
				continue
			}
		}
		values := 0 // arguments after this one that are not options
		for i+1+values < len(args) && !isOption(args[i+1+values]) {
			values++
		}
		switch {
		case flag == nil: // with all that may be its values
			set.problem("", set.unknown(name))
			i += values
		case hasValue:
			joined = append(joined, "--"+name+"="+text)
		case isBoolFlag(flag):
			if i+1 < len(args) && isBool(args[i+1]) {
				i++
				arg += "=" + args[i]
			}
			joined = append(joined, arg)
		case flag.NoOptDefVal != "":
			if values > 0 {
				i++
				arg += "=" + args[i]
			}
			joined = append(joined, arg)
		case i+1 == len(args):
			joined = append(joined, arg)
		case follows(flags, args[i+1]) != "":
			set.problem("", fmt.Errorf("--%s needs a value, but --%s follows it", canonical(name), follows(flags, args[i+1])))
		case values > 1 && flag.Value.Type() == "list":
			for _, value := range args[i+1 : i+1+values] {
				joined = append(joined, arg+"="+value)
			}
			i += values
		case values > 1 && isMany(flag):
			joined = append(joined, arg+"="+strings.Join(args[i+1:i+1+values], ","))
			i += values
		default: // the next is its value, whatever it looks like
			i++
			joined = append(joined, arg+"="+args[i])
		}
	}
	return joined
}

// follows returns the name of the option that an argument gives, "" if it gives none.
func follows(flags *pflag.FlagSet, arg string) string {
	name, long := strings.CutPrefix(arg, "--")
	name, _, _ = strings.Cut(name, "=")
	if !long || flags.Lookup(name) == nil {
		return ""
	}
	return canonical(name)
}

// isOption reports whether an argument is the name of an option, and not a value such as
// -1 or standard input, -.
func isOption(arg string) bool {
	if _, err := strconv.ParseFloat(arg, 64); err == nil || arg == "-" {
		return false
	}
	return strings.HasPrefix(arg, "-")
}

func isBoolFlag(flag *pflag.Flag) bool { return flag != nil && flag.Value.Type() == "bool" }

func isMany(flag *pflag.Flag) bool {
	value, ok := flag.Value.(*flagValue)
	return ok && value.many()
}

func isBool(text string) bool {
	_, err := parseBool(text)
	return err == nil
}
