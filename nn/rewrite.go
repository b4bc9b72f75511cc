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
	name := m.Stored(p.Name + ".weight")
	t, err := m.base.Tensor(name)
	if p.transposed {
		t = t.Transposed()
	}
	if err != nil || !t.IsDense() || len(t.Shape) != 2 || t.Shape[0] != p.Weight.Out || t.Shape[1] != p.Weight.In {
		return fmt.Errorf("%s has no original weights of %s", m.base.Source(), p.Name)
	}
	values := make([]float32, t.Elements())
	t.Floats(values, 0)
	m.base.Release(name)
	if err := change(values); err != nil {
		return fmt.Errorf("%s: tensor %q: %w", m.base.Where(name), name, err)
	}
	data := float32Bytes(values)
	if p.Weight.Quantized != nil {
		return dev.Quantize(&p.Weight, data, bindings.F32)
	}
	return WriteTensor(dev, p.Weight.Dense, data, bindings.F32)
}
