package verbs

import (
	"io"
	"slices"

	"github.com/spf13/cobra"

	"qlora/cmd/internal/exit"
	"qlora/cmd/internal/options"
)

// shells are the shells with completions.
var shells = []string{"bash", "zsh", "fish"}

// Completion returns the verb that prints the completions of a shell.
func Completion() *cobra.Command {
	var shell string
	var cmd *cobra.Command
	cmd = verb("completion", "print the completions of bash, zsh or fish", options.New(), func(c *call) error {
		return WriteCompletions(c.out, cmd.Root(), shell)
	})
	cmd.Use = "completion SHELL"
	cmd.Long = "completion SHELL prints a script that completes verbs, options and their values.\n\n" +
		"  bash, with the package bash-completion:  source <(qlora completion bash)\n" +
		"  zsh, after compinit:                     source <(qlora completion zsh)\n" +
		"  fish:                                    qlora completion fish | source"
	cmd.ValidArgs = shells
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) != 1 || !slices.Contains(shells, args[0]) {
			return exit.Wrongf("completion needs the name of a shell: write completion %s", either(shells))
		}
		shell = args[0]
		return nil
	}
	return cmd
}

// WriteCompletions writes the completions of root's verbs and options for a shell. The
// scripts ask the program what completes a command line.
func WriteCompletions(w io.Writer, root *cobra.Command, shell string) error {
	switch shell {
	case "bash":
		return root.GenBashCompletionV2(w, true)
	case "zsh":
		return root.GenZshCompletion(w)
	}
	return root.GenFishCompletion(w, true)
}

// completing returns what such a script asks: cobra's name of the request and the words
// of the command line, of which the last is being typed. ok reports whether args are a
// request.
func completing(args []string) (request string, typed []string, ok bool) {
	if len(args) < 2 || args[0] != cobra.ShellCompRequestCmd && args[0] != cobra.ShellCompNoDescRequestCmd {
		return "", nil, false
	}
	return args[0], args[1:], true
}
