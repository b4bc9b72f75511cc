package checkpoint

import (
	"fmt"

	"qlora/internal/safetensors"
)

// DType is the type of a tensor's elements as safetensors spells it. Tensors that
// nothing is computed with may have others than those named here.
type DType string

// The element types that are computed with, and bytes.
const (
	F32  DType = "F32"
	BF16 DType = "BF16"
	F16  DType = "F16"
	U8   DType = "U8"
)

// torchNames are torch's names of the types, first the one that is written.
var torchNames = []struct {
	dtype DType
	names []string
}{
	{F32, []string{"float32", "float"}},
	{BF16, []string{"bfloat16"}},
	{F16, []string{"float16", "half"}},
}

// ParseTorch returns the type that torch calls name: F32, BF16 or F16.
func ParseTorch(name string) (DType, error) {
	for _, t := range torchNames {
		for _, n := range t.names {
			if n == name {
				return t.dtype, nil
			}
		}
	}
	return "", fmt.Errorf("dtype %q is not supported; float32, bfloat16 and float16 are", name)
}

// Torch returns torch's name of F32, BF16 or F16, "" of another type.
func (d DType) Torch() string {
	for _, t := range torchNames {
		if t.dtype == d {
			return t.names[0]
		}
	}
	return ""
}

// Size returns the bytes of one element, 0 for a type that is not known.
func (d DType) Size() int { return safetensors.DType(d).Size() }

// IsFloat reports whether the type is F32, BF16 or F16, which convert to and from
// float32.
func (d DType) IsFloat() bool { return safetensors.DType(d).IsFloat() }

// AppendFloats appends x as little-endian elements of the type, which IsFloat, each
// rounded to the nearest.
func (d DType) AppendFloats(data []byte, x []float32) []byte {
	return safetensors.AppendFloats(data, x, safetensors.DType(d))
}
