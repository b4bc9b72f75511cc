package ollama

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// A Model is what Ollama needs beside the weights. It is written as a Modelfile
// (https://docs.ollama.com/modelfile) or into a store.
type Model struct {
	From       string // path of the GGUF file
	Adapter    string // path of a GGUF adapter; "": none
	Template   string // "": Ollama guesses one from the GGUF file
	License    string
	Parameters []Parameter
}

// A Parameter is an option of generation: a float64, an int or a list of texts.
type Parameter struct {
	Name  string
	Value any
}

// Parameters returns what a model's generation_config.json, whose text may be nil, and the
// texts that end a reply say about generation.
func Parameters(config []byte, stop []string) ([]Parameter, error) {
	var file struct {
		Sample        *bool    `json:"do_sample"`
		Temperature   *float64 `json:"temperature"`
		TopK          *int     `json:"top_k"`
		TopP          *float64 `json:"top_p"`
		MinP          *float64 `json:"min_p"`
		RepeatPenalty *float64 `json:"repetition_penalty"`
	}
	if config != nil {
		if err := json.Unmarshal(config, &file); err != nil {
			return nil, fmt.Errorf("generation_config.json: %w", err)
		}
	}
	var all []Parameter
	number := func(name string, value *float64) {
		if value != nil && !math.IsInf(*value, 0) {
			all = append(all, Parameter{name, *value})
		}
	}
	if file.Sample == nil || *file.Sample { // else transformers ignores them
		number("temperature", file.Temperature)
		if file.TopK != nil {
			all = append(all, Parameter{"top_k", *file.TopK})
		}
		number("top_p", file.TopP)
		number("min_p", file.MinP)
	} else {
		all = append(all, Parameter{"temperature", 0.0})
	}
	number("repeat_penalty", file.RepeatPenalty)
	if len(stop) > 0 {
		all = append(all, Parameter{"stop", slices.Clone(stop)})
	}
	return all, nil
}

// Modelfile returns the text of a Modelfile.
func (m *Model) Modelfile() []byte {
	var b bytes.Buffer
	line := func(command, value string) { fmt.Fprintf(&b, "%s %s\n", command, value) }
	line("FROM", quoted(relative(m.From)))
	if m.Adapter != "" {
		line("ADAPTER", quoted(relative(m.Adapter)))
	}
	if m.Template != "" {
		line("TEMPLATE", `"""`+m.Template+`"""`)
	}
	for _, p := range m.Parameters {
		if list, ok := p.Value.([]string); ok {
			for _, text := range list {
				line("PARAMETER "+p.Name, quoted(text))
			}
			continue
		}
		line("PARAMETER "+p.Name, number(p.Value))
	}
	if m.License != "" {
		line("LICENSE", `"""`+strings.ReplaceAll(printable(m.License), `"""`, `'''`)+`"""`)
	}
	return b.Bytes()
}

// relative returns the path of a file next to the Modelfile.
func relative(path string) string { return "./" + path[strings.LastIndexByte(path, '/')+1:] }

// quoted returns a value as the Modelfile's parser reads it.
func quoted(s string) string {
	if strings.Contains(s, `"`) {
		return `"""` + s + `"""`
	}
	return `"` + s + `"`
}

// printable returns s without the characters that the parser leaves out.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || strconv.IsPrint(r) {
			return r
		}
		return -1
	}, s)
}

func number(v any) string {
	if f, ok := v.(float64); ok {
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	return fmt.Sprint(v)
}

// parameters returns the JSON of the store's layer of parameters.
func (m *Model) parameters() ([]byte, error) {
	all := map[string]any{}
	for _, p := range m.Parameters {
		all[p.Name] = p.Value
	}
	text, err := json.Marshal(all)
	return append(text, '\n'), err
}
