package verbs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"qlora/cmd/internal/exit"
	"qlora/cmd/internal/options"
	"qlora/cmd/internal/recipe"
)

// maxScript bounds the bytes of a file that is imported.
const maxScript = 1 << 20

// importOptions are the options of import.
type importOptions struct {
	Output string `option:"output" path:"true" help:"file to write; without it, standard output"`
	file   string
}

// Import returns the verb that translates another program's file of options.
func Import() *cobra.Command {
	var own importOptions
	set := options.New()
	set.Add("Import", &own)
	cmd := verb("import", "translate a file of Axolotl or LLaMA-Factory, or a script's arguments", set, own.run)
	cmd.Use = "import FILE"
	cmd.Long = "import FILE reads a configuration of Axolotl or LLaMA-Factory, or the arguments of a script of\n" +
		"TRL or transformers in a shell script, a text or JSON. It writes the options of train that do the\n" +
		"same, and reports on standard error what each key became. It exits with 2 if a key that changes\n" +
		"the result cannot be done; the rest is written all the same."
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return exit.Wrongf("import reads one file: write import FILE, with - for standard input")
		}
		own.file = args[0]
		return nil
	}
	return cmd
}

func (o *importOptions) run(c *call) error {
	data, err := o.read(c.in)
	if err != nil {
		return exit.AsWrong(err)
	}
	if o.Output != "" && filepath.Clean(o.Output) == filepath.Clean(o.file) {
		return exit.Wrongf("--output is the file that is read; name another")
	}
	target := newTuneOptions()
	set := target.set()
	entries, err := o.entries(set, data)
	if err != nil {
		return exit.AsWrong(err)
	}
	tool, outcomes := set.Read(o.file, entries)
	quiet := &call{Context: c, in: c.in, out: io.Discard, err: io.Discard, set: set}
	rest := set.Withdraw(set.Ranges())
	rest = append(rest, set.Withdraw(target.check(quiet))...)
	i := importReport{set: set, tool: tool, file: o.file, outcomes: outcomes, rest: rest}
	text := i.yaml()
	if o.Output == "" {
		_, err = c.out.Write(text)
	} else {
		err = os.WriteFile(o.Output, text, 0o644)
	}
	if err != nil {
		return err
	}
	i.print(c)
	return i.result()
}

// read returns the file's text.
func (o *importOptions) read(in io.Reader) ([]byte, error) {
	if o.file != "-" {
		f, err := os.Open(o.file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	} else {
		o.file = "standard input"
	}
	data, err := io.ReadAll(io.LimitReader(in, maxScript+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.file, err)
	}
	if len(data) > maxScript {
		return nil, fmt.Errorf("%s: longer than %d bytes, the limit for a file of options", o.file, maxScript)
	}
	return data, nil
}

// entries returns the file's entries, and gives set the translator for them.
func (o *importOptions) entries(set *options.Set, data []byte) ([]options.Entry, error) {
	ending := strings.ToLower(filepath.Ext(o.file))
	var entries []options.Entry
	err := errors.New("")
	if ending != ".sh" && ending != ".bash" && !bytes.HasPrefix(data, []byte("#!")) {
		entries, err = options.ReadYAML(o.file, data)
	}
	if err == nil {
		set.Recipes = recipe.Read
		if _, known := recipe.Read(entries); known {
			return entries, nil
		}
		has := func(name string) bool {
			return slices.ContainsFunc(entries, func(e options.Entry) bool { return e.Name == name && !e.Null })
		}
		switch {
		case has("train_dataset") || has("model_class"):
			return nil, fmt.Errorf("%s: files of LLaMA-Factory's version 1 are not read, those of version 0 are: stage, finetuning_type, …", o.file)
		case has("model"):
			return nil, fmt.Errorf("%s: it has the names of this program; train with it by --config", o.file)
		}
		if !slices.ContainsFunc(entries, func(e options.Entry) bool { return !e.Null }) {
			return nil, fmt.Errorf("%s: it has no names with values", o.file)
		}
		set.Recipes = recipe.Script(recipe.ProgramOf(entries))
		return entries, nil
	}
	args, program, problem := recipe.Arguments(string(data))
	if problem != nil {
		if slices.Contains([]string{".yaml", ".yml", ".json"}, ending) {
			return nil, err
		}
		return nil, fmt.Errorf("%s: %w", o.file, problem)
	}
	set.Recipes = recipe.Script(program)
	return args, nil
}
