package torchtune

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"qlora/checkpoint"
	"qlora/internal/torchfile"
)

// oldFile matches the names of old versions, with the epoch.
var oldFile = regexp.MustCompile(`^adapter_(\d+)\.pt$`)

// WeightsPath returns the path of the tensors in dir: of several epochs the last. It is
// "" if there are none, or no configuration for them.
func WeightsPath(dir string) string {
	if configPath(dir) == "" {
		return ""
	}
	path := filepath.Join(dir, "adapter_model.pt")
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		return path
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	last, newest := -1, ""
	for _, e := range entries {
		if m := oldFile.FindStringSubmatch(e.Name()); m != nil {
			if epoch, err := strconv.Atoi(m[1]); err == nil && epoch > last {
				last, newest = epoch, filepath.Join(dir, e.Name())
			}
		}
	}
	return newest
}

// modules are transformers' names of torchtune's modules in a layer.
var modules = map[string]string{
	"attn.q_proj": "self_attn.q_proj", "attn.k_proj": "self_attn.k_proj", "attn.v_proj": "self_attn.v_proj", "attn.output_proj": "self_attn.o_proj",
	"mlp.w1": "mlp.gate_proj", "mlp.w2": "mlp.down_proj", "mlp.w3": "mlp.up_proj",
}

// parts are PEFT's names of an adapter's parts.
var parts = map[string]string{"lora_a.weight": "lora_A.weight", "lora_b.weight": "lora_B.weight", "magnitude": "lora_magnitude_vector"}

var (
	layerName  = regexp.MustCompile(`^layers\.(\d+)\.([a-z]+\.[a-z0-9_]+)\.(lora_a\.weight|lora_b\.weight|magnitude)$`)
	outputName = regexp.MustCompile(`^output\.(lora_a\.weight|lora_b\.weight|magnitude)$`)
)

// split returns transformers' name of a tensor's module and PEFT's of its part.
func split(name string) (module, part string, err error) {
	if m := layerName.FindStringSubmatch(name); m != nil && modules[m[2]] != "" {
		return "model.layers." + m[1] + "." + modules[m[2]], parts[m[3]], nil
	}
	if m := outputName.FindStringSubmatch(name); m != nil {
		return "lm_head", parts[m[1]], nil
	}
	return "", "", fmt.Errorf("tensor %q is no factor of an adapter on a Llama's layers: merge the adapter in torchtune", name)
}

// PEFTConfig returns the adapter_config.json that PEFT would have for the adapter in dir.
func PEFTConfig(dir string) ([]byte, error) {
	m, err := readConfig(configPath(dir))
	if err != nil {
		return nil, err
	}
	path := WeightsPath(dir)
	all, err := torchfile.Read(path)
	if err != nil {
		return nil, err
	}
	text, err := m.peft(all)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return text, nil
}

// peft returns PEFT's configuration for the tensors.
func (m *model) peft(all []torchfile.Tensor) ([]byte, error) {
	var targets []string
	dora := false
	for _, t := range all {
		module, part, err := split(t.Name)
		if err != nil {
			return nil, err
		}
		dora = dora || part == parts["magnitude"]
		targets = append(targets, module)
	}
	slices.Sort(targets)
	return json.Marshal(map[string]any{
		"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": m.Rank, "lora_alpha": m.Alpha, "lora_dropout": m.Dropout,
		"use_dora": dora, "target_modules": slices.Compact(targets),
	})
}

// Tensors returns the tensors of the adapter in dir under PEFT's names, with the rows of
// the queries and keys in transformers' order. They are copies in memory.
func Tensors(dir string) (*checkpoint.File, error) {
	m, err := readConfig(configPath(dir))
	if err != nil {
		return nil, err
	}
	path := WeightsPath(dir)
	all, err := torchfile.Read(path)
	if err != nil {
		return nil, err
	}
	var converted []checkpoint.Tensor
	for _, t := range all {
		c, err := m.convert(t)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		converted = append(converted, c)
	}
	return checkpoint.NewFile(converted), nil
}

// convert returns a tensor under PEFT's name.
func (m *model) convert(t torchfile.Tensor) (checkpoint.Tensor, error) {
	module, part, err := split(t.Name)
	if err != nil {
		return checkpoint.Tensor{}, err
	}
	dtype := checkpoint.DType(t.DType)
	if dtype.Size() == 0 {
		return checkpoint.Tensor{}, fmt.Errorf("tensor %q has element type %s", t.Name, t.DType)
	}
	rotated := strings.HasSuffix(module, ".q_proj") || strings.HasSuffix(module, ".k_proj")
	if families[m.family()].neighbours && rotated && part != parts["lora_a.weight"] {
		head := m.headDim()
		if len(t.Shape) == 0 || t.Shape[0]%head != 0 {
			return checkpoint.Tensor{}, fmt.Errorf("tensor %q has shape %v, which is no number of heads of %d: is %s of another run?", t.Name, t.Shape, head, ConfigFile)
		}
		t.Data = halves(t.Data, t.Shape[0], head)
	}
	return checkpoint.NewDense("base_model.model."+module+"."+part, dtype, t.Shape, t.Data), nil
}

// halves reorders the rows of each head from neighbours, (0, 1), (2, 3), …, to halves: the
// first of all pairs, then the second.
func halves(data []byte, rows, head int) []byte {
	if rows == 0 {
		return data
	}
	size, out := len(data)/rows, make([]byte, 0, len(data))
	for first := 0; first < rows; first += head {
		for side := range 2 {
			for pair := range head / 2 {
				at := (first + 2*pair + side) * size
				out = append(out, data[at:at+size]...)
			}
		}
	}
	return out
}
