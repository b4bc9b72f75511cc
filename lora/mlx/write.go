package mlx

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"qlora/checkpoint"
	"qlora/internal/atomicfile"
)

const configFile = "adapter_config.json"

// A Module is the adapter on one linear layer, in PEFT's layout: y += Scale·B·A·x.
type Module struct {
	Name       string // transformers' name of the layer
	R, In, Out int
	Scale      float32
	A          []float32 // [R, In]
	B          []float32 // [Out, R]
	Magnitude  []float32 // [Out], of DoRA; nil without
}

// An Adapter is what Write writes.
type Adapter struct {
	Base    string // name or path of the model, for mlx-lm's record
	Layers  int    // of the model
	Dropout float64
	Modules []Module
}

// Write writes the adapter into dir, float32, atomically by file. mlx-lm has one rank and
// one scale: smaller ranks are filled up with zeros, and other scales are multiplied into
// B, so each adapter computes what it did. mlx-lm also puts adapters on the same layers
// of other blocks; they have no tensors in the file, start at zero and compute nothing.
func Write(dir string, a Adapter) error {
	if len(a.Modules) == 0 {
		return errors.New("the adapter has no layers")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	config, err := json.MarshalIndent(a.settings(), "", "    ")
	if err != nil {
		return err
	}
	var entries []checkpoint.Entry
	for i := range a.Modules {
		entries = append(entries, a.entries(&a.Modules[i])...)
	}
	slices.SortFunc(entries, func(x, y checkpoint.Entry) int { return cmp.Compare(x.Name, y.Name) })
	if err := checkpoint.WriteFile(filepath.Join(dir, WeightsFile), entries, map[string]string{"format": "mlx"}); err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(dir, configFile), append(config, '\n'), 0o644)
}

// settings returns the configuration that makes mlx-lm put an adapter on every module.
func (a *Adapter) settings() settings {
	s := settings{Kind: kindLoRA, Model: a.Base, Layers: 1, Parameters: &parameters{Rank: a.rank(), Scale: float64(a.Modules[0].Scale), Dropout: a.Dropout}}
	if a.Modules[0].Magnitude != nil {
		s.Kind = kindDoRA
	}
	for _, m := range a.Modules {
		name := fromHub(m.Name)
		if layer, rest, ok := inLayer(name); ok {
			s.Layers, name = max(s.Layers, a.Layers-layer), rest
		}
		s.Parameters.Keys = append(s.Parameters.Keys, name)
	}
	slices.Sort(s.Parameters.Keys)
	s.Parameters.Keys = slices.Compact(s.Parameters.Keys)
	return s
}

// rank returns the greatest rank.
func (a *Adapter) rank() int {
	r := 0
	for _, m := range a.Modules {
		r = max(r, m.R)
	}
	return r
}

// entries returns the tensors of one module.
func (a *Adapter) entries(m *Module) []checkpoint.Entry {
	r, name := a.rank(), fromHub(m.Name)
	entries := []checkpoint.Entry{
		dense(name+"."+partA, []int{m.In, r}, func(k int) float32 {
			if i, j := k/r, k%r; j < m.R {
				return m.A[j*m.In+i]
			}
			return 0
		}),
		dense(name+"."+partB, []int{r, m.Out}, func(k int) float32 {
			if j, i := k/m.Out, k%m.Out; j < m.R {
				return m.B[i*m.R+j] * (m.Scale / a.Modules[0].Scale)
			}
			return 0
		}),
	}
	if m.Magnitude != nil {
		entries = append(entries, dense(name+"."+partM, []int{m.Out}, func(k int) float32 { return m.Magnitude[k] }))
	}
	return entries
}

// dense returns a float32 tensor of the elements that at returns.
func dense(name string, shape []int, at func(int) float32) checkpoint.Entry {
	return checkpoint.Entry{Name: name, DType: checkpoint.F32, Shape: shape, Write: func(out io.Writer) error {
		n := 1
		for _, size := range shape {
			n *= size
		}
		values := make([]float32, n)
		for k := range values {
			values[k] = at(k)
		}
		if _, err := out.Write(checkpoint.F32.AppendFloats(nil, values)); err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		return nil
	}}
}
