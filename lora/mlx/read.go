// Package mlx reads and writes adapters of mlx-lm, the trainer of Apple's MLX:
// https://github.com/ml-explore/mlx-lm.
//
// A folder has adapter_config.json, with the trainer's settings, and adapters.safetensors.
// mlx-lm puts one rank and one scale on every adapter; the scale multiplies B·A as it is,
// without a division by the rank. The factors are stored as its products use them:
// lora_a [in, r] and lora_b [r, out], the transposes of PEFT's. DoRA adds m [out].
package mlx

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"qlora/checkpoint"
)

// WeightsFile is the name of the file with the tensors.
const WeightsFile = "adapters.safetensors"

// settings are the keys of adapter_config.json that say what the adapter computes.
type settings struct {
	Kind       string      `json:"fine_tune_type"`
	DoRA       bool        `json:"use_dora,omitempty"` // of old versions, which have no fine_tune_type
	Model      string      `json:"model"`
	Layers     int         `json:"num_layers"`
	Parameters *parameters `json:"lora_parameters"`
}

type parameters struct {
	Rank    int      `json:"rank"`
	Scale   float64  `json:"scale"`
	Dropout float64  `json:"dropout"`
	Keys    []string `json:"keys,omitempty"`
}

const (
	kindLoRA = "lora"
	kindDoRA = "dora"
	kindFull = "full"
)

// IsConfig reports whether text is the adapter_config.json of mlx-lm, and not PEFT's.
func IsConfig(text []byte) bool {
	var keys map[string]json.RawMessage
	if json.Unmarshal(text, &keys) != nil {
		return false
	}
	_, peft := keys["peft_type"]
	_, kind := keys["fine_tune_type"]
	_, parameters := keys["lora_parameters"]
	return !peft && (kind || parameters)
}

// parse reads adapter_config.json.
func parse(text []byte) (settings, error) {
	var s settings
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("not a configuration of mlx-lm: %w", err)
	}
	if s.Kind == "" {
		s.Kind = kindLoRA
		if s.DoRA {
			s.Kind = kindDoRA
		}
	}
	switch {
	case s.Kind == kindFull:
		return s, errors.New("fine_tune_type is \"full\": it holds whole weights and no adapter; fuse them in MLX (mlx_lm.fuse) and give the folder as the model")
	case s.Kind != kindLoRA && s.Kind != kindDoRA:
		return s, fmt.Errorf("fine_tune_type is %q; lora and dora are supported", s.Kind)
	case s.Parameters == nil:
		return s, errors.New("lora_parameters is missing, which has the adapter's rank and scale")
	case s.Parameters.Rank < 1:
		return s, fmt.Errorf("the rank in lora_parameters is %d; it must be at least 1", s.Parameters.Rank)
	}
	return s, nil
}

// PEFTConfig returns the adapter_config.json that PEFT would have for the adapter in
// dir, whose own is text. The targets are the whole names of the modules that have
// tensors: num_layers and keys only say where mlx-lm put them.
func PEFTConfig(dir string, text []byte) ([]byte, error) {
	s, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, configFile), err)
	}
	file, err := checkpoint.OpenFile(filepath.Join(dir, WeightsFile))
	if err != nil {
		return nil, fmt.Errorf("the adapter's tensors: %w", err)
	}
	defer file.Close()
	return s.peft(file.Names())
}

// peft returns PEFT's configuration for the tensors called names.
func (s settings) peft(names []string) ([]byte, error) {
	var modules []string
	for _, name := range names {
		module, part, err := split(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", WeightsFile, err)
		}
		if part == partM && s.Kind != kindDoRA {
			return nil, fmt.Errorf("%s: tensor %q is a magnitude, but fine_tune_type is %q", WeightsFile, name, s.Kind)
		}
		modules = append(modules, toHub(module))
	}
	if len(modules) == 0 {
		return nil, fmt.Errorf("%s has no tensor", WeightsFile)
	}
	slices.Sort(modules)
	return json.Marshal(map[string]any{
		"peft_type":               "LORA",
		"task_type":               "CAUSAL_LM",
		"base_model_name_or_path": s.Model,
		"r":                       s.Parameters.Rank,
		"lora_alpha":              s.Parameters.Scale * float64(s.Parameters.Rank),
		"lora_dropout":            s.Parameters.Dropout,
		"use_dora":                s.Kind == kindDoRA,
		"target_modules":          slices.Compact(modules),
	})
}

// The parts of an adapter, with PEFT's names for them.
const (
	partA = "lora_a"
	partB = "lora_b"
	partM = "m"
)

var peftNames = map[string]string{partA: ".lora_A.weight", partB: ".lora_B.weight", partM: ".lora_magnitude_vector"}

// split splits a tensor's name into its module and its part.
func split(name string) (module, part string, err error) {
	dot := strings.LastIndexByte(name, '.')
	if dot <= 0 || peftNames[name[dot+1:]] == "" {
		return "", "", fmt.Errorf("tensor %q is no factor of an adapter, which end in .lora_a, .lora_b or .m: fuse the adapter in MLX (mlx_lm.fuse)", name)
	}
	module, part = name[:dot], name[dot+1:]
	if last := module[strings.LastIndexByte(module, '.')+1:]; slices.Contains(embeddings, last) {
		return "", "", fmt.Errorf("tensor %q adapts the embedding, which MLX does to a tied head too: fuse the adapter in MLX (mlx_lm.fuse)", name)
	}
	return module, part, nil
}

// embeddings are the last parts of the names of embeddings.
var embeddings = []string{"embed_tokens", "wte", "embed_in", "word_embeddings"}

// Tensors returns the tensors of the adapter in dir under PEFT's names and in its
// layout. They are copies in memory.
func Tensors(dir string) (*checkpoint.File, error) {
	file, err := checkpoint.OpenFile(filepath.Join(dir, WeightsFile))
	if err != nil {
		return nil, fmt.Errorf("the adapter's tensors: %w", err)
	}
	defer file.Close()
	var all []checkpoint.Tensor
	for _, name := range file.Names() {
		module, part, err := split(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(dir, WeightsFile), err)
		}
		t, _ := file.Tensor(name)
		if want := rank(part); len(t.Shape) != want {
			return nil, fmt.Errorf("%s: tensor %q has %d dimensions, not %d: adapters on fused experts are not read; fuse the adapter in MLX (mlx_lm.fuse)", filepath.Join(dir, WeightsFile), name, len(t.Shape), want)
		}
		name = "base_model.model." + toHub(module) + peftNames[part]
		shape, data := t.Shape, slices.Clone(t.Data())
		if part != partM {
			shape = []int{t.Shape[1], t.Shape[0]}
			data = checkpoint.Transpose(t.Data(), t.Shape[0], t.Shape[1], t.DType.Size())
		}
		all = append(all, checkpoint.NewDense(name, t.DType, shape, data))
	}
	return checkpoint.NewFile(all), nil
}

// rank returns the number of dimensions of a part.
func rank(part string) int {
	if part == partM {
		return 1
	}
	return 2
}
