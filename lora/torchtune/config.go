// Package torchtune reads adapters in the format of torchtune's own checkpoints:
// https://github.com/pytorch/torchtune.
//
// A checkpoint's folder has adapter_model.pt (adapter_N.pt of old versions), a dictionary
// of tensors with torchtune's names. What scales them is in torchtune_config.yaml, which
// the recipe writes into its output_dir, the folder above. Most of torchtune's families
// rotate neighbouring elements of a head, as Meta's Llama, where transformers rotates
// halves: the rows of their q_proj and k_proj are in another order there.
//
// The Hugging Face checkpointer also writes the adapter in PEFT's format. That copy is
// reordered for families that need no reordering (Qwen), and its DoRA magnitudes are not
// for those that do, so the own format is read where both are.
package torchtune

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

const (
	// ConfigFile is the name of the recipe's configuration.
	ConfigFile     = "torchtune_config.yaml"
	maxConfigBytes = 1 << 20
)

// A recipe is the part of the configuration that says what an adapter computes.
type recipe struct {
	Model model `yaml:"model"`
}

type model struct {
	Component string  `yaml:"_component_"`
	Rank      int     `yaml:"lora_rank"`
	Alpha     float64 `yaml:"lora_alpha"`
	Dropout   float64 `yaml:"lora_dropout"`
	Hidden    int     `yaml:"embed_dim"` // of a builder without fixed sizes
	Heads     int     `yaml:"num_heads"`
	HeadDim   int     `yaml:"head_dim"`
}

// families are torchtune's packages of models with Llama's modules, and whether they
// rotate neighbouring elements.
var families = map[string]struct{ neighbours bool }{
	"llama2": {true}, "code_llama2": {true}, "llama3": {true}, "llama3_1": {true}, "llama3_2": {true}, "llama3_3": {true}, "mistral": {true},
	"gemma": {true}, "gemma2": {true}, "qwen2": {}, "qwen2_5": {}, "qwen3": {},
}

// headDims are the sizes of a head by the builder's name, or its package's; 128 for any
// other.
var headDims = map[string]int{"lora_llama3_2_1b": 64, "qlora_llama3_2_1b": 64, "lora_gemma2_27b": 128, "qlora_gemma2_27b": 128, "gemma": 256, "gemma2": 256}

// configPath returns the path of the configuration for the checkpoint in dir, which is
// there or above; "" if there is none.
func configPath(dir string) string {
	for _, folder := range []string{dir, filepath.Dir(filepath.Clean(dir))} {
		path := filepath.Join(folder, ConfigFile)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	return ""
}

// readConfig reads the configuration at path.
func readConfig(path string) (model, error) {
	f, err := os.Open(path)
	if err != nil {
		return model{}, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfigBytes+1))
	if err != nil {
		return model{}, err
	}
	m, err := parse(text)
	if err != nil {
		return model{}, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

func parse(text []byte) (model, error) {
	if len(text) > maxConfigBytes {
		return model{}, fmt.Errorf("it is larger than %d bytes and no configuration of a recipe", maxConfigBytes)
	}
	var r recipe
	if err := yaml.Unmarshal(text, &r); err != nil {
		line, _, _ := strings.Cut(err.Error(), "\n")
		return model{}, fmt.Errorf("not a recipe's configuration: %s", line)
	}
	m := r.Model
	name := m.family()
	if _, ok := families[name]; !ok {
		return model{}, fmt.Errorf("model._component_ is %q, whose adapters are not read: only those of %s are; merge it in torchtune", m.Component, known())
	}
	if m.Rank < 1 || m.Alpha == 0 {
		return model{}, errors.New("model has no lora_rank or lora_alpha: give the configuration of the run that trained the adapter")
	}
	if h := m.headDim(); h < 2 || h > 1<<16 || h%2 != 0 {
		return model{}, fmt.Errorf("model has heads of %d elements", h)
	}
	return m, nil
}

// family returns the package of "torchtune.models.PACKAGE.BUILDER".
func (m *model) family() string {
	parts := strings.Split(m.Component, ".")
	if len(parts) < 2 {
		return ""
	}
	return parts[len(parts)-2]
}

// headDim returns the size of a head.
func (m *model) headDim() int {
	switch {
	case m.HeadDim != 0:
		return m.HeadDim
	case m.Heads > 0 && m.Hidden > 0:
		return m.Hidden / m.Heads
	}
	for _, name := range []string{m.Component[strings.LastIndexByte(m.Component, '.')+1:], m.family()} {
		if h := headDims[name]; h != 0 {
			return h
		}
	}
	return 128
}

// known lists the families for messages.
func known() string {
	var names []string
	for name := range families {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
