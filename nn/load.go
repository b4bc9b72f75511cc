package nn

import (
	"fmt"

	"qlora/bindings"
	"qlora/internal/bnb"
	"qlora/internal/safetensors"
)

// Weights are what a model's weights are read from: a safetensors.Folder.
type Weights interface {
	Tensor(name string) (safetensors.Tensor, bool)
	Release(safetensors.Tensor) // is not needed any more
	Where(name string) string   // a tensor lies, for messages
}

// Load fills the weights from the folder that the model was laid out by, tensor
// by tensor: the 16-bit model never lies in memory whole. It comes after the
// plan's memory was taken. Progress is told in bytes of the folder.
func (m *Model) Load(dev bindings.Device, base Weights, progress func(done, total int64)) error {
	dev.UseScratch(m.workspace, m.lossSpace)
	var done, total int64
	for _, w := range m.weights {
		t, _ := base.Tensor(w.key())
		total += int64(len(t.Data))
	}
	for _, w := range m.weights {
		t, ok := base.Tensor(w.key())
		if !ok {
			return fmt.Errorf("the model folder has no tensor %q any more", w.key())
		}
		if err := m.loadOne(dev, w, t); err != nil {
			return fmt.Errorf("%s: tensor %q: %w", base.Where(w.key()), w.key(), err)
		}
		base.Release(t)
		done += int64(len(t.Data))
		if progress != nil {
			progress(done, total)
		}
	}
	cos, sin := m.Config.Rope.angles(m.inputs.cos.Rows, m.Config.HeadDim)
	if err := dev.Write(m.inputs.cos, float32Bytes(cos)); err != nil {
		return err
	}
	if err := dev.Write(m.inputs.sin, float32Bytes(sin)); err != nil {
		return err
	}
	dev.Zero(m.inputs.stats)
	return dev.Sync()
}

func (m *Model) loadOne(dev bindings.Device, w weightSource, t safetensors.Tensor) error {
	if w.packed != nil {
		return writePacked(dev, w.linear.Weight.Quantized, w.packed)
	}
	dtype, err := bindings.ParseDType(string(t.DType))
	if err != nil {
		return err
	}
	if w.linear != nil {
		return dev.Quantize(&w.linear.Weight, t.Data, dtype)
	}
	if err := WriteTensor(dev, w.dense, t.Data, dtype); err != nil {
		return err
	}
	if master, ok := m.masters[w.dense]; ok {
		return WriteTensor(dev, master, t.Data, dtype)
	}
	return nil
}

// writePacked copies the codes and scales of a bitsandbytes folder as they are.
func writePacked(dev bindings.Device, q *bindings.Quantized, w *bnb.Weight4) error {
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
