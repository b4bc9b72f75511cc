package nn

import (
	"cmp"
	"fmt"

	"qlora/bindings"
)

// Rewrite replaces the weight of a loaded projection. change receives the original
// values [out, in] and modifies them in place; the result is stored like the weight,
// in 4 bits or in its own type. It returns an error for a weight that the folder
// stores in 4 bits or whose codes are kept, which has no original.
func (m *Model) Rewrite(dev bindings.Device, p *Projection, change func(original []float32) error) error {
	name := m.Stored(p.Name + ".weight")
	t, err := m.base.Tensor(name)
	if p.transposed {
		t = t.Transposed()
	}
	if q := p.Weight.Quantized; p.Weight.EightBit != nil || q != nil && !q.Kind.Quantizes() {
		return fmt.Errorf("%s: the weights of %s are kept as they are", m.base.Source(), p.Name)
	}
	if err != nil || t.FourBit() != nil || len(t.Shape) != 2 || t.Shape[0] != p.Weight.Out || t.Shape[1] != p.Weight.In {
		return fmt.Errorf("%s has no unquantized weights for %s", m.base.Source(), p.Name)
	}
	values := make([]float32, t.Elements())
	t.Floats(values, 0)
	m.base.Release(name)
	if err := change(values); err != nil {
		return fmt.Errorf("%s: tensor %q: %w", m.base.Where(name), name, err)
	}
	data := float32Bytes(values)
	p.shard.need(dev)
	if p.Weight.Quantized != nil {
		err = dev.Quantize(&p.Weight, data, bindings.F32)
	} else {
		err = WriteTensor(dev, p.Weight.Dense, data, bindings.F32)
	}
	if p.shard != nil {
		p.shard.keep(dev)
		err = cmp.Or(err, p.shard.of.err)
	}
	return err
}
