package safetensors

import (
	"encoding/binary"
	"math"

	"qlora/internal/halffloat"
)

// IsFloat reports whether d is F32, BF16 or F16, which Floats and AppendFloats convert.
func (d DType) IsFloat() bool { return d == F32 || d == BF16 || d == F16 }

// Floats fills dst with the elements of t from number from on. IsFloat must hold for the
// type.
func (t Tensor) Floats(dst []float32, from int) {
	data := t.Data[from*t.DType.Size():]
	switch t.DType {
	case BF16:
		for i := range dst {
			dst[i] = halffloat.FromBF16(binary.LittleEndian.Uint16(data[2*i:]))
		}
	case F16:
		for i := range dst {
			dst[i] = halffloat.FromF16(binary.LittleEndian.Uint16(data[2*i:]))
		}
	default:
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		}
	}
}

// AppendFloats appends x as elements of the type dtype, each rounded to nearest.
// dtype.IsFloat must hold.
func AppendFloats(data []byte, x []float32, dtype DType) []byte {
	switch dtype {
	case BF16:
		for _, v := range x {
			data = binary.LittleEndian.AppendUint16(data, halffloat.BF16(v))
		}
	case F16:
		for _, v := range x {
			data = binary.LittleEndian.AppendUint16(data, halffloat.F16(v))
		}
	default:
		for _, v := range x {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
	}
	return data
}
