package nn

import (
	"bytes"
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
		if master, ok := m.masters[w.dense]; ok {
			t = master
		}
		entries = append(entries, safetensors.Entry{
			Name: w.stored, DType: safetensors.DType(dtype.String()), Shape: w.shape,
			Write: func(out io.Writer) error {
				if !w.transposed {
					return ReadTensor(dev, t, dtype, out)
				}
				var whole bytes.Buffer
				if err := ReadTensor(dev, t, dtype, &whole); err != nil {
					return err
				}
				_, err := out.Write(transposed(whole.Bytes(), t.Rows, t.Cols, dtype.Size()))
				return err
			},
		})
	}
	if err := safetensors.Write(filepath.Join(dir, "model.safetensors"), entries, map[string]string{"format": "pt"}); err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(dir, "config.json"), m.Config.Raw, 0o644)
}
