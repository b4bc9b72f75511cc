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
		t, _ := base.Tensor(w.stored)
		total += int64(len(t.Data))
	}
	for _, w := range m.weights {
		t, ok := base.Tensor(w.stored)
		if !ok {
			return fmt.Errorf("the model folder has no tensor %q any more", w.stored)
		}
		if err := m.loadOne(dev, w, t); err != nil {
			return fmt.Errorf("%s: tensor %q: %w", base.Where(w.stored), w.stored, err)
		}
		base.Release(t)
		done += int64(len(t.Data))
		if progress != nil {
			progress(done, total)
		}
	}
	for _, t := range m.tables {
		if err := t.load(dev); err != nil {
			return err
		}
	}
	dev.Run(&bindings.Zero{T: m.inputs.stats})
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
	data := t.Data
	if w.transposed {
		data = transposed(data, t.Shape[0], t.Shape[1], dtype.Size())
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

// transposed returns the [cols, rows] of a [rows, cols] of elements of size bytes.
func transposed(data []byte, rows, cols int, size int64) []byte {
	out := make([]byte, len(data))
	n := int(size)
	const tile = 64
	for i0 := 0; i0 < rows; i0 += tile {
		for j0 := 0; j0 < cols; j0 += tile {
			for i := i0; i < min(rows, i0+tile); i++ {
				for j := j0; j < min(cols, j0+tile); j++ {
					copy(out[(j*rows+i)*n:(j*rows+i+1)*n], data[(i*cols+j)*n:])
				}
			}
		}
	}
	return out
}
