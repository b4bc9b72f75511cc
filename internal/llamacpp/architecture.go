// Package llamacpp says what llama.cpp calls what: for each architecture of its GGUF files, the
// keys of the metadata and the names and layouts of the tensors, beside those of a Hugging Face
// folder. The tables serve both directions.
//
// The reference is llama.cpp's converter (conversion/*.py, gguf-py/gguf/tensor_mapping.py) and,
// for what a missing key means, its loader (src/models/*.cpp).
package llamacpp

import (
	"fmt"
	"slices"
	"strings"
)

// An Architecture is one general.architecture of llama.cpp and the models that it stores.
type Architecture struct {
	Name  string   // general.architecture
	Type  string   // the model_type that a file is read as
	Class string   // the class in transformers of Type, for config.json's architectures
	Types []string // the model_type values that are written as this architecture; empty: it is only read

	keys  []key
	fixed []fixed
	rows  []row
	tied  bool // the class's default of tie_word_embeddings
	rope  ropeKind
	// read and write translate what the keys do not cover; nil: nothing.
	read  func(r *reading)
	write func(w *writing)
}

// A fixed is a key of config.json that GGUF has no key for: llama.cpp computes with one value.
type fixed struct {
	key    string
	values []any // what config.json may have; the first is written
	def    any   // the class's default; nil: the first value
}

var architectures = map[string]*Architecture{}

func register(all ...Architecture) {
	for _, a := range all {
		if architectures[a.Name] != nil {
			panic("llamacpp: architecture " + a.Name + " is registered twice")
		}
		architectures[a.Name] = &a
	}
}

// Names returns the names of all architectures, sorted.
func Names() []string {
	var all []string
	for name := range architectures {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// forTypes returns the architecture that stores the first of the model_type values that one
// stores.
func forTypes(types []string) (*Architecture, error) {
	for _, modelType := range types {
		for _, name := range Names() {
			if a := architectures[name]; slices.Contains(a.Types, modelType) {
				return a, nil
			}
		}
	}
	return nil, fmt.Errorf("llama.cpp has no architecture for model_type %q, so the model cannot be written as GGUF", types[0])
}

// forName returns the architecture called name in a file.
func forName(name string) (*Architecture, error) {
	if a := architectures[name]; a != nil {
		return a, nil
	}
	if name == "" {
		return nil, fmt.Errorf("general.architecture, which names the model's family, is missing: convert the model again with a current llama.cpp")
	}
	if len(name) > 40 {
		name = name[:40] + "…"
	}
	return nil, fmt.Errorf("the architecture %q is not supported; these are: %s", name, strings.Join(Names(), ", "))
}
