package options

import (
	"strings"

	"github.com/spf13/cobra"
)

// completed has a shell complete the values of a flag by complete.
func (s *Set) completed(cmd *cobra.Command, name string, complete cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(name, complete); err != nil {
		panic("options: " + err.Error()) // the flag was just added, and has none
	}
}

// complete returns the values of the option that a shell offers: files for a path, else
// the values known. Of a list it completes the last element.
func (o *option) complete(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if o.path {
		return nil, cobra.ShellCompDirectiveDefault
	}
	values := o.values
	if len(values) == 0 && kindOf(o.value.Type()) == "bool" {
		values = []string{"true", "false"}
	}
	first := ""
	if o.many {
		first = typed[:strings.LastIndex(typed, ",")+1]
	}
	var found []cobra.Completion
	for _, value := range values {
		if strings.HasPrefix(first+value, typed) {
			found = append(found, first+value)
		}
	}
	return found, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// completeConfig completes the path of --config.
func completeConfig(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return []cobra.Completion{"yaml", "yml", "json"}, cobra.ShellCompDirectiveFilterFileExt
}
