package nn

import (
	"cmp"
	"fmt"

	"qlora/bindings"
	"qlora/checkpoint"
)

// Weights is the source of a model's weights: a checkpoint.Checkpoint.
type Weights = checkpoint.Tensors

// Load reads the weights of the model from base, tensor by tensor, so the 16-bit
// model is never in memory as a whole. A sharded model reads what its part lies in. Call it after the plan's memory is
// allocated. progress, if not nil, receives bytes of the folder.
func (m *Model) Load(dev bindings.Device, base Weights, progress func(done, total int64)) error {
	dev.UseScratch(m.workspace, m.lossSpace)
	var done, total int64
	for _, w := range m.weights {
		if t, _ := base.Tensor(w.stored); w.span.ours() {
			total += t.Bytes()
		}
	}
	var open *shard // that weights are loaded of
	for _, w := range m.weights {
		if !w.span.ours() {
			continue
		}
		if s := w.span.shard; s != nil && s != open {
			open.keep(dev)
			open = s
		}
		t, err := base.Tensor(w.stored)
		if err != nil {
			return fmt.Errorf("a tensor of the plan can no longer be read: %w", err)
		}
		if err := t.CheckFinite(base.Where(w.stored)); err != nil {
			return err
		}
		if err := m.loadOne(dev, w, t); err != nil {
			return fmt.Errorf("%s: tensor %q: %w", base.Where(w.stored), w.stored, err)
		}
		base.Release(w.stored)
		done += t.Bytes()
		if progress != nil {
			progress(done, total)
		}
	}
	open.keep(dev)
	must(m.eachOverlay(func() error { m.Head.adapter.load(dev, m.Head.out.Weight.Dense); return nil }))
	if err := m.loadRows(dev, base); err != nil {
		return err
	}
	for _, t := range m.tables {
		if err := t.load(dev); err != nil {
			return err
		}
	}
	if err := m.eachOverlay(func() error { return m.biases.load(dev) }); err != nil {
		return err
	}
	dev.Run(&bindings.Zero{T: m.inputs.stats})
	if m.comparing != nil {
		dev.Run(&bindings.Zero{T: m.comparing.stats})
		dev.Run(&bindings.Zero{T: m.comparing.unread})
	}
	return dev.Sync()
}

func (m *Model) loadOne(dev bindings.Device, w weightSource, t checkpoint.Tensor) error {
	if w.linear != nil && w.linear.Weight.EightBit != nil {
		to, kept := w.linear.Weight.EightBit, t.Kept8()
		return cmp.Or(dev.Write(to.Codes, kept.Codes), dev.Write(to.Scales, kept.Scales))
	}
	packed := t.FourBit()
	if w.linear != nil && m.Options.Quantize.Keep && !w.transposed {
		packed = cmp.Or(packed, t.Kept())
	}
	if packed != nil {
		return writePacked(dev, w.linear.Weight.Quantized, packed)
	}
	if w.transposed {
		t = t.Transposed()
	}
	data, dtype, err := elements(t)
	if err != nil {
		return err
	}
	if w.linear != nil {
		return dev.Quantize(&w.linear.Weight, data, dtype)
	}
	if err := WriteTensor(dev, w.dense, data, dtype); err != nil {
		return err
	}
	if master, ok := m.masters[w.dense]; ok {
		return WriteTensor(dev, master, data, dtype)
	}
	return nil
}

// elements returns the elements of t in their stored encoding, or as float32 if
// devices do not support the encoding.
func elements(t checkpoint.Tensor) ([]byte, bindings.DType, error) {
	if t.IsDense() {
		dtype, err := bindings.ParseDType(string(t.DType))
		return t.Data(), dtype, err
	}
	values := make([]float32, t.Elements())
	t.Floats(values, 0)
	return float32Bytes(values), bindings.F32, nil
}

// writePacked copies a checkpoint's codes and scales unchanged.
func writePacked(dev bindings.Device, q *bindings.Quantized, w *checkpoint.FourBit) error {
	writes := []struct {
		to   bindings.Tensor
		from []byte
	}{{q.Codes, w.Codes}}
	add := func(to bindings.Tensor, from []byte) {
		writes = append(writes, struct {
			to   bindings.Tensor
			from []byte
		}{to, from})
	}
	if q.Double() {
		add(q.AbsmaxCodes, w.Nested.Codes)
		add(q.NestedAbsmax, float32Bytes(w.Nested.Absmax))
		add(q.Map, float32Bytes(w.Nested.Map[:]))
		add(q.Offset, float32Bytes([]float32{w.Nested.Offset}))
	} else {
		add(q.Absmax, float32Bytes(w.Absmax))
	}
	for _, x := range writes {
		if err := dev.Write(x.to, x.from); err != nil {
			return err
		}
	}
	return nil
}
