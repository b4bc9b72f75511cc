// Package tinymodel makes models with random weights for tests, from the text of a
// config.json.
package tinymodel

import (
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"

	"qlora/bindings"
	"qlora/checkpoint"
	"qlora/internal/philox"
	"qlora/nn"
	"qlora/nn/family"
)

// A Fill sets the elements of a model's tensors, one after the other in the order of
// nn.Model.Tensors.
type Fill func(t nn.TensorInfo, values []float32)

// Normal returns a fill of normal distributions of that deviation; their mean is 1 in a
// norm's weight and 0 elsewhere. Each tensor has its own stream of Philox.
func Normal(deviation float32) Fill {
	stream := uint32(0)
	return func(t nn.TensorInfo, values []float32) {
		philox.Normal(values, 1, stream, deviation)
		stream++
		if len(t.Shape) == 1 && filepath.Ext(t.Name) == ".weight" {
			for i := range values {
				values[i]++
			}
		}
	}
}

// Drawn returns a fill that draws every matrix from random, with that deviation and
// mean 0, and sets vectors to 1.
func Drawn(random *rand.Rand, deviation float64) Fill {
	return func(t nn.TensorInfo, values []float32) {
		for i := range values {
			if len(t.Shape) == 1 {
				values[i] = 1
				continue
			}
			values[i] = float32(random.NormFloat64() * deviation)
		}
	}
}

// Tensors returns the tensors of the model that config describes, in the type that it
// declares.
func Tensors(config string, fill Fill) ([]checkpoint.Tensor, error) {
	c, err := family.ParseConfig([]byte(config))
	if err != nil {
		return nil, err
	}
	m, err := nn.New(c, nil, nn.Options{}, bindings.NewMemory(), bindings.Info{})
	if err != nil {
		return nil, err
	}
	dtype := checkpoint.DType(c.DType)
	var all []checkpoint.Tensor
	for _, t := range m.Tensors() {
		n := 1
		for _, size := range t.Shape {
			n *= size
		}
		values := make([]float32, n)
		fill(t, values)
		all = append(all, checkpoint.NewDense(t.Name, dtype, t.Shape, dtype.AppendFloats(nil, values)))
	}
	return all, nil
}

// Write writes a model folder: config.json and the weights of Tensors.
func Write(dir, config string, fill Fill) error {
	all, err := Tensors(config, fill)
	if err != nil {
		return err
	}
	entries := make([]checkpoint.Entry, len(all))
	for i, t := range all {
		entries[i] = checkpoint.Entry{Name: t.Name, DType: t.DType, Shape: t.Shape, Write: func(out io.Writer) error {
			_, err := out.Write(t.Data())
			return err
		}}
	}
	if err := checkpoint.WriteFile(filepath.Join(dir, "model.safetensors"), entries, nil); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o644)
}
