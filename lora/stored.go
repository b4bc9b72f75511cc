package lora

import (
	"fmt"

	"qlora/checkpoint"
)

// Stored are the tensors of an adapter's folder, for computations on the weights
// themselves. It needs no device.
type Stored struct{ file *source }

// Open opens the tensors of an adapter's folder after Check has passed it. Close closes them.
// If ChangesBase is true, the tensors are relative to the Residual of the base.
func (a *Adapters) Open(dir string) (*Stored, error) {
	file, err := openWeights(dir)
	if err != nil {
		return nil, err
	}
	if err := a.check(file); err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", file.path, err)
	}
	return &Stored{file}, nil
}

// Tensor returns a tensor by the model's own name: "lm_head.weight",
// "model.layers.0.self_attn.q_proj.lora_A.weight". It panics if Open did not check
// that name.
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

// Close closes the file.
func (s *Stored) Close() error { return s.file.Close() }
