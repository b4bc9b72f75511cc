package nn

import (
	"fmt"

	"qlora/bindings"
)

// Rewrite puts other values in the place of a loaded projection's weight:
// those that change makes of its original ones, [out, in], in place. They are
// held as the weight is, in 4 bits or in the type that it is stored in. A weight
// that the folder itself has in 4 bits has no original and is an error.
func (m *Model) Rewrite(dev bindings.Device, p *Projection, change func(original []float32) error) error {
	name := storedName(m.base, m.Config.Prefixes, p.Name+".weight")
	rows, cols := p.Weight.Out, p.Weight.In
	if p.transposed {
		rows, cols = cols, rows
	}
	t, ok := m.base.Tensor(name)
	if !ok || len(t.Shape) != 2 || t.Shape[0] != rows || t.Shape[1] != cols {
		return fmt.Errorf("%s has no original weights of %s", m.base.Source(), p.Name)
	}
	dtype, err := bindings.ParseDType(string(t.DType))
	if err != nil {
		return fmt.Errorf("%s: tensor %q: %w", m.base.Where(name), name, err)
	}
	values := make([]float32, t.Elements())
	original := t.Data
	if p.transposed {
		original = transposed(original, rows, cols, dtype.Size())
	}
	decode(values, original, dtype)
	m.base.Release(t)
	if err := change(values); err != nil {
		return fmt.Errorf("%s: tensor %q: %w", m.base.Where(name), name, err)
	}
	data := float32Bytes(values)
	if p.Weight.Quantized != nil {
		return dev.Quantize(&p.Weight, data, bindings.F32)
	}
	return WriteTensor(dev, p.Weight.Dense, data, bindings.F32)
}
