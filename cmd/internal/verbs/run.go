package verbs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"qlora/bindings"
	"qlora/checkpoint"
	"qlora/cmd/internal/exit"
	"qlora/cmd/internal/foreign"
	"qlora/cmd/internal/options"
	"qlora/internal/mistaken"
	"qlora/internal/version"
	"qlora/option"
	"qlora/trainer"
)

// Main runs the command line and returns its exit code.
func Main(root *cobra.Command, args []string) exit.Code {
	ctx, stop := exit.OnSignal(context.Background())
	defer stop()
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(&cobra.Command{Hidden: true})
	root.Version = version.Describe()
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	args, err := commandLine(root, args)
	if err == nil {
		root.SetArgs(args)
		err = root.ExecuteContext(ctx)
	}
	if damaged := (*checkpoint.DamagedError)(nil); errors.As(err, &damaged) {
		err = exit.AsWrong(damaged)
	}
	code := exit.CodeOf(ctx, err)
	if err != nil && !exit.IsQuiet(err) {
		for line := range strings.SplitSeq(dashed(sentence(err)), "\n") { // one for each of several errors
			fmt.Fprintf(root.ErrOrStderr(), "%s: %s\n", root.Name(), line)
		}
	}
	exit.End(err, code)
	return code
}

// Root returns the program's command with all its verbs.
func Root() *cobra.Command {
	root := &cobra.Command{
		Use:   "qlora",
		Short: "fine-tune large language models with QLoRA",
		Long: "qlora fine-tunes large language models with QLoRA: it trains small adapters on a base\n" +
			"model that is quantized to 4 bits. `qlora VERB --help` lists a verb's options.",
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return exit.AsWrong(err) })
	root.AddCommand(Train(), Plan(), Preview(), Generate(), Serve(), Eval(), Merge(), Export(), Quantize(), Fetch(), Push(), Import(), Demo(), Doctor(), Completion())
	return root
}

// commandLine returns root's arguments as cobra reads them.
func commandLine(root *cobra.Command, args []string) ([]string, error) {
	if request, typed, ok := completing(args); ok {
		before := typed[:len(typed)-1]
		return slices.Concat([]string{request}, options.JoinValues(root, before), typed[len(before):]), nil
	}
	args, err := verbFirst(root, args)
	if err != nil {
		return nil, err
	}
	return options.JoinValues(root, args), nil
}

// verb returns the command that resolves the options of set and runs do.
func verb(name, short string, set *options.Set, do func(v *call) error) *cobra.Command {
	cmd := &cobra.Command{
		Use:   name,
		Short: short,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := set.Resolve(); err != nil {
				return err
			}
			c := &call{Context: cmd.Context(), in: cmd.InOrStdin(), out: cmd.OutOrStdout(), err: cmd.ErrOrStderr(), set: set, args: args}
			for _, note := range set.Notes {
				c.note(note)
			}
			return do(c)
		},
	}
	set.Adopt(foreign.Renamed())
	set.Bind(cmd)
	return cmd
}

// A call is one run of a verb.
type call struct {
	context.Context
	in   io.Reader
	out  io.Writer // results
	err  io.Writer // progress and notes
	set  *options.Set
	args []string // what is no option, of a verb that takes such
}

// note prints a line to standard error.
func (c *call) note(text string) { fmt.Fprintln(c.err, dashed(text)) }

// noteOf prints the notes on how the configuration of a model and its adapter was read, for
// a device. Training reports them itself.
func (c *call) noteOf(m *trainer.Base, device bindings.Info) {
	for _, note := range m.Notes(device) {
		c.note(note)
	}
}

// dashed returns a message of the library with its options spelled as on the command
// line: --lora_r.
func dashed(message string) string {
	return option.Spell(message, func(name string) string { return "--" + name })
}

// required returns an error if value is empty.
func required(name, value string) error {
	if value == "" {
		return exit.Wrongf("--%s is missing", name)
	}
	return nil
}

// existing returns an error if one of the paths does not exist.
func existing(option string, paths ...string) error {
	for _, path := range paths {
		_, err := os.Stat(path)
		if errors.Is(err, os.ErrNotExist) {
			return exit.AsWrong(mistaken.Missing(option, path))
		}
		if err != nil {
			return exit.AsWrong(err)
		}
	}
	return nil
}
