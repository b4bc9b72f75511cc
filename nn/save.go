package nn

import (
	"bytes"
	"io"

	"qlora/bindings"
	"qlora/checkpoint"
)

// Save writes the model's weights and config.json to dir in Hugging Face's format,
// in the element type that the config declares. It streams tensors from the device
// and copies other tensors of the base unchanged. A model with 4-bit weights cannot
// be saved this way.
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
	rest, err := m.rest()
	if err != nil {
		return err
	}
	entries = append(entries, rest...)
	return checkpoint.Save(dir, m.Config.Raw, entries)
}

// rest returns the base's tensors outside the model, unchanged: the other parts of a
// vision-language model.
func (m *Model) rest() ([]checkpoint.Entry, error) {
	var entries []checkpoint.Entry
	for _, name := range m.Unread() {
		if name == m.Stored(m.Head.Name+".weight") { // that of a tied head
			continue
		}
		t, err := m.base.Tensor(name)
		if err != nil {
			return nil, err
		}
		entries = append(entries, checkpoint.Entry{Name: name, DType: t.Plain(), Shape: t.Shape, Write: func(out io.Writer) error {
			defer m.base.Release(name)
			_, err := out.Write(t.As(name, t.Plain()).Data())
			return err
		}})
	}
	return entries, nil
}

// writeTransposed writes t [out, in] as [in, out].
func writeTransposed(dev bindings.Device, t bindings.Tensor, dtype bindings.DType, out io.Writer) error {
	var whole bytes.Buffer
	if err := ReadTensor(dev, t, dtype, &whole); err != nil {
		return err
	}
	_, err := out.Write(checkpoint.Transpose(whole.Bytes(), t.Rows, t.Cols, int(dtype.Size())))
	return err
}
