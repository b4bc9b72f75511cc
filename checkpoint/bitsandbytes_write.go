package checkpoint

import (
	"encoding/binary"
	"io"
	"math"

	"qlora/internal/safetensors"
)

// fourBitEntries returns the tensors that store w as the weight weightName. They read w's
// slices when they are written.
func fourBitEntries(weightName string, w *FourBit) []safetensors.Entry {
	state := stateJSON(w)
	entries := []safetensors.Entry{
		bytesEntry(weightName, w.Codes, len(w.Codes), 1),
		floatsEntry(weightName+mapSuffix, w.Kind.Codebook()[:]),
		bytesEntry(weightName+stateSuffix+w.Kind.String(), state, len(state)),
	}
	if w.Nested == nil {
		return append(entries, floatsEntry(weightName+absmaxSuffix, w.Absmax))
	}
	return append(entries,
		bytesEntry(weightName+absmaxSuffix, w.Nested.Codes, len(w.Nested.Codes)),
		floatsEntry(weightName+nestedAbsmaxSuffix, w.Nested.Absmax),
		floatsEntry(weightName+nestedMapSuffix, w.Nested.Map[:]),
	)
}

func bytesEntry(name string, data []byte, shape ...int) safetensors.Entry {
	return safetensors.Entry{Name: name, DType: safetensors.U8, Shape: shape, Write: func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}}
}

func floatsEntry(name string, x []float32) safetensors.Entry {
	return safetensors.Entry{Name: name, DType: safetensors.F32, Shape: []int{len(x)}, Write: func(w io.Writer) error {
		data := make([]byte, 0, 4*len(x))
		for _, v := range x {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
		_, err := w.Write(data)
		return err
	}}
}
