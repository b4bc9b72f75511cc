package nn

import (
	"encoding/binary"
	"fmt"
	"math"

	"qlora/bindings"
	"qlora/internal/bnb"
	"qlora/internal/halffloat"
	"qlora/internal/safetensors"
)

// Load fills the weights from the folder that the model was laid out by, tensor
// by tensor: the 16-bit model never lies in memory whole. It comes after the
// plan's memory was taken. Progress is told in bytes of the folder.
func (m *Model) Load(dev bindings.Device, base *safetensors.Folder, progress func(done, total int64)) error {
	dev.UseScratch(m.workspace, m.lossSpace)
	var done, total int64
	for _, w := range m.weights {
		t, _ := base.Tensor(w.name)
		total += int64(len(t.Data))
	}
	for _, w := range m.weights {
		t, ok := base.Tensor(w.name)
		if !ok {
			return fmt.Errorf("the model folder has no tensor %q any more", w.name)
		}
		if err := m.loadOne(dev, w, t); err != nil {
			return fmt.Errorf("%s: tensor %q: %w", base.Where(w.name), w.name, err)
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
	switch {
	case w.packed != nil:
		return writePacked(dev, w.linear.Weight.Quantized, w.packed)
	case w.linear != nil:
		dtype, err := bindings.ParseDType(string(t.DType))
		if err != nil {
			return err
		}
		return dev.Quantize(&w.linear.Weight, t.Data, dtype)
	}
	if err := writeDense(dev, w.dense, t); err != nil {
		return err
	}
	if master, ok := m.masters[w.name]; ok {
		return writeDense(dev, master, t)
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

// conversionElements bounds what a conversion holds beside the tensor, in elements.
const conversionElements = 1 << 20

// writeDense copies t to the device, through float32 where the types differ.
func writeDense(dev bindings.Device, to bindings.Tensor, t safetensors.Tensor) error {
	from, err := bindings.ParseDType(string(t.DType))
	if err != nil {
		return err
	}
	if from == to.DType {
		return dev.Write(to, t.Data)
	}
	values := make([]float32, min(to.Len(), conversionElements))
	for at := 0; at < to.Len(); {
		n := min(len(values), to.Len()-at)
		decode(values[:n], t.Data[int64(at)*from.Size():], from)
		part := to.Reshape(to.Len(), 1).Slice(at, at+n)
		if err := dev.Write(part, encode(values[:n], to.DType)); err != nil {
			return err
		}
		at += n
	}
	return nil
}

// decode reads len(dst) little-endian values of type dtype.
func decode(dst []float32, src []byte, dtype bindings.DType) {
	if dtype == bindings.F32 {
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
		return
	}
	halves := make([]uint16, len(dst))
	for i := range halves {
		halves[i] = binary.LittleEndian.Uint16(src[2*i:])
	}
	if dtype == bindings.BF16 {
		halffloat.BF16ToFloat32(dst, halves)
	} else {
		halffloat.F16ToFloat32(dst, halves)
	}
}

// encode is the opposite of decode.
func encode(src []float32, dtype bindings.DType) []byte {
	if dtype == bindings.F32 {
		return float32Bytes(src)
	}
	halves := make([]uint16, len(src))
	if dtype == bindings.BF16 {
		halffloat.Float32ToBF16(halves, src)
	} else {
		halffloat.Float32ToF16(halves, src)
	}
	out := make([]byte, 0, 2*len(halves))
	for _, h := range halves {
		out = binary.LittleEndian.AppendUint16(out, h)
	}
	return out
}

func float32Bytes(v []float32) []byte {
	out := make([]byte, 0, 4*len(v))
	for _, x := range v {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
	}
	return out
}
