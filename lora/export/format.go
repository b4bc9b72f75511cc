package export

import (
	"context"
	"fmt"
	"slices"
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
		names = append(names, f.name)
		if f.name != o.Format {
			continue
		}
		missing := true
		for _, given := range []struct{ name, value string }{{"outfile", o.OutFile}, {"output_dir", o.OutputDir}, {"ollama_name", o.OllamaName}} {
			switch fits := slices.Contains(f.output, given.name); {
			case given.value == "":
			case fits:
				missing = false
			default:
				return nil, option.Errorf(given.name, given.value, "it is not for format %s, which needs `%s`", f.name, strings.Join(f.output, "` or `"))
			}
		}
		if missing {
			return nil, fmt.Errorf("`%s` is missing: it names the result of format %s", strings.Join(f.output, "` or `"), f.name)
		}
		return f.open(o, product)
	}
	return nil, option.Errorf("format", o.Format, "it can be %s; for a folder of safetensors use qlora merge", strings.Join(names, ", "))
}
