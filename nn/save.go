package nn

import (
	"bytes"
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
			Name: w.stored, DType: checkpoint.DType(dtype.String()), Shape: w.shape,
			Write: func(out io.Writer) error {
				if w.transposed {
					return writeTransposed(dev, t, dtype, out)
				}
				return ReadTensor(dev, t, dtype, out)
			},
		})
	}
	return checkpoint.Save(dir, m.Config.Raw, entries)
}

// writeTransposed writes the [in, out] of t, [out, in].
func writeTransposed(dev bindings.Device, t bindings.Tensor, dtype bindings.DType, out io.Writer) error {
	var whole bytes.Buffer
	if err := ReadTensor(dev, t, dtype, &whole); err != nil {
		return err
	}
	_, err := out.Write(checkpoint.Transpose(whole.Bytes(), t.Rows, t.Cols, int(dtype.Size())))
	return err
}
