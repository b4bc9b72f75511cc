package export

import (
	"context"
	"strings"

	"qlora/lora/merge"
	"qlora/option"
)

// A Work is an export whose input has been checked.
type Work interface {
	// Notes returns messages about what the result lacks and what other programs do
	// otherwise.
	Notes() []string
	// Write writes the result: all of it, or nothing. progress, if not nil, receives the
	// bytes written so far.
	Write(ctx context.Context, progress func(done, total int64)) error
	// Result names what Write wrote.
	Result() string
	// Close closes the base and the adapters.
	Close() error
}

// formats are the values of the option format.
var formats = []struct {
	name   string
	output []string // the options of which one must name the result
	open   func(Options, merge.Product) (Work, error)
}{
	{"gguf", []string{"outfile"}, func(o Options, p merge.Product) (Work, error) { return NewJob(o, p) }},
	{"ollama", []string{"output_dir", "ollama_name"}, func(o Options, p merge.Product) (Work, error) { return newOllama(o, p) }},
	{"mlx", []string{"output_dir"}, func(o Options, _ merge.Product) (Work, error) { return newMLX(o) }},
}

// Open checks the input of an export in the format of the options and that its output can
// be created. It writes nothing. product computes B·A. The caller must call Close.
func Open(o Options, product merge.Product) (Work, error) {
	var names []string
	for _, f := range formats {
		if f.name != o.Format {
			names = append(names, f.name)
			continue
		}
		given := map[string]string{"outfile": o.OutFile, "output_dir": o.OutputDir, "ollama_name": o.OllamaName}
		missing := true
		for _, name := range f.output {
			missing = missing && given[name] == ""
		}
		if missing {
			return nil, option.Errorf("format", o.Format, "name the result: `%s`", strings.Join(f.output, "` or `"))
		}
		for name, value := range given {
			if value != "" && !strings.Contains(strings.Join(f.output, " "), name) {
				return nil, option.Errorf(name, value, "it is not for format %s, which needs `%s`", f.name, strings.Join(f.output, "` or `"))
			}
		}
		return f.open(o, product)
	}
	return nil, option.Errorf("format", o.Format, "it can be %s; for a folder of safetensors use qlora merge", strings.Join(names, ", "))
}
