package nn

import (
	"io"
	"path/filepath"

	"qlora/bindings"
	"qlora/internal/atomicfile"
	"qlora/internal/safetensors"
)

// Save writes the model as a Hugging Face folder's weights and config.json, in
// the element type that the config declares, as full fine-tuning leaves it. The
// tensors stream from the device. A model with 4-bit weights is not saved this
// way.
func (m *Model) Save(dev bindings.Device, dir string) error {
	var entries []safetensors.Entry
	dtype, err := bindings.ParseDType(m.Config.DType)
	if err != nil {
		return err
	}
	for _, w := range m.weights {
		t := w.dense
		if master, ok := m.masters[w.name]; ok {
			t = master
		}
		entries = append(entries, safetensors.Entry{
			Name: w.name, DType: safetensors.DType(dtype.String()), Shape: w.shape,
			Write: func(out io.Writer) error { return readDense(dev, t, dtype, out) },
		})
	}
	if err := safetensors.Write(filepath.Join(dir, "model.safetensors"), entries, map[string]string{"format": "pt"}); err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(dir, "config.json"), m.Config.Raw, 0o644)
}

// readDense writes t's elements as little-endian values of type dtype, a bounded
// piece at a time.
func readDense(dev bindings.Device, t bindings.Tensor, dtype bindings.DType, out io.Writer) error {
	flat := t.Reshape(t.Len(), 1)
	raw := make([]byte, int64(min(t.Len(), conversionElements))*t.DType.Size())
	values := make([]float32, min(t.Len(), conversionElements))
	for at := 0; at < t.Len(); {
		n := min(len(values), t.Len()-at)
		part := flat.Slice(at, at+n)
		if err := dev.Read(raw[:part.Bytes()], part); err != nil {
			return err
		}
		piece := raw[:part.Bytes()]
		if t.DType != dtype {
			decode(values[:n], piece, t.DType)
			piece = encode(values[:n], dtype)
		}
		if _, err := out.Write(piece); err != nil {
			return err
		}
		at += n
	}
	return nil
}
