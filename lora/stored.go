package lora

import (
	"fmt"
	"path/filepath"

	"qlora/checkpoint"
)

// Stored are the tensors of an adapter in its folder, for work on the weights
// themselves. No device takes part.
type Stored struct{ file *checkpoint.File }

// Open opens the tensors of a PEFT folder, of which Check finds nothing wrong.
// Close unmaps them. The tensors of adapters that ChangesBase reports are relative to the
// Residual of the base.
func (a *Adapters) Open(dir string) (*Stored, error) {
	file, err := openWeights(dir)
	if err != nil {
		return nil, err
	}
	if err := a.check(file); err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, WeightsFile), err)
	}
	return &Stored{file}, nil
}

// Tensor returns the tensor called name in the model's own names: "lm_head.weight",
// "model.layers.0.self_attn.q_proj.lora_A.weight". It must be one that Open checked.
func (s *Stored) Tensor(name string) checkpoint.Tensor {
	t, ok := s.file.Tensor(keyPrefix + name)
	if !ok {
		t, ok = s.file.Tensor(keyPrefix + baseLayerBias(name))
	}
	if !ok {
		panic("lora: tensor " + name + " was not checked")
	}
	return t
}

// Floats returns the elements of a Tensor.
func (s *Stored) Floats(name string) []float32 {
	t := s.Tensor(name)
	x := make([]float32, t.Elements())
	t.Floats(x, 0)
	return x
}

// Close unmaps the file.
func (s *Stored) Close() error { return s.file.Close() }
