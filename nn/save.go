package nn

import (
	"io"

	"qlora/bindings"
	"qlora/checkpoint"
)

// Save writes the model as a Hugging Face folder's weights and config.json, in
// the element type that the config declares, as full fine-tuning leaves it. The
// tensors stream from the device. A model with 4-bit weights is not saved this
// way.
func (m *Model) Save(dev bindings.Device, dir string) error {
	var entries []checkpoint.Entry
	dtype, err := bindings.ParseDType(m.Config.DType)
	if err != nil {
		return err
	}
	for _, w := range m.weights {
		t := w.dense
		if master, ok := m.masters[w.dense]; ok {
			t = master
		}
		entries = append(entries, checkpoint.Entry{
			Name: w.name, DType: checkpoint.DType(dtype.String()), Shape: w.shape,
			Write: func(out io.Writer) error { return ReadTensor(dev, t, dtype, out) },
		})
	}
	return checkpoint.Save(dir, m.Config.Raw, entries)
}
