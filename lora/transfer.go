package lora

import (
	"encoding/binary"
	"fmt"
	"math"

	"qlora/bindings"
	"qlora/internal/halffloat"
)

// write makes x the value of f, on the device.
func (f *factor) write(dev bindings.Device, x []float32) error {
	if err := dev.Write(f.master, encode(x, f.master.DType)); err != nil {
		return fmt.Errorf("tensor %q: %w", f.name, err)
	}
	if f.master != f.value {
		dev.Copy(f.value, f.master)
	}
	return nil
}

// read is the value of f as little-endian float32.
func (f *factor) read(dev bindings.Device) ([]byte, error) {
	data := make([]byte, f.master.Bytes())
	if err := dev.Read(data, f.master); err != nil {
		return nil, fmt.Errorf("tensor %q: %w", f.name, err)
	}
	if f.master.DType == bindings.F32 {
		return data, nil
	}
	x := make([]float32, f.master.Len())
	decode(x, data, f.master.DType)
	return encode(x, bindings.F32), nil
}

// encode is x as little-endian elements of dtype, F32, BF16 or F16.
func encode(x []float32, dtype bindings.DType) []byte {
	data := make([]byte, 0, int64(len(x))*dtype.Size())
	for _, v := range x {
		switch dtype {
		case bindings.BF16:
			data = binary.LittleEndian.AppendUint16(data, halffloat.BF16(v))
		case bindings.F16:
			data = binary.LittleEndian.AppendUint16(data, halffloat.F16(v))
		default:
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
	}
	return data
}

// decode is the inverse of encode; it fills x.
func decode(x []float32, data []byte, dtype bindings.DType) {
	for i := range x {
		switch dtype {
		case bindings.BF16:
			x[i] = halffloat.FromBF16(binary.LittleEndian.Uint16(data[2*i:]))
		case bindings.F16:
			x[i] = halffloat.FromF16(binary.LittleEndian.Uint16(data[2*i:]))
		default:
			x[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		}
	}
}
