package checkpoint

import (
	"fmt"
	"slices"

	"qlora/internal/safetensors"
)

// DType is the type of a tensor's elements as safetensors spells it. Tensors that take no part
// in computation may have types other than those named here.
type DType string

// The element types used in computation, and bytes.
const (
	F32  DType = "F32"
	BF16 DType = "BF16"
	F16  DType = "F16"
	U8   DType = "U8"
)

// torchNames maps the types to torch's names; of several the first is written.
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
		if slices.Contains(t.names, name) {
			return t.dtype, nil
		}
	}
	return "", fmt.Errorf("dtype %q is not supported; use float32, bfloat16 or float16", name)
}

// Torch returns torch's name of F32, BF16 or F16, or "" for any other type.
func (d DType) Torch() string {
	for _, t := range torchNames {
		if t.dtype == d {
			return t.names[0]
		}
	}
	return ""
}

// Size returns the bytes of one element, or 0 for an unknown type.
func (d DType) Size() int { return safetensors.DType(d).Size() }

// IsFloat reports whether the type is F32, BF16 or F16, which convert to and from
// float32.
func (d DType) IsFloat() bool { return safetensors.DType(d).IsFloat() }

// AppendFloats appends x as little-endian elements of type d, each rounded to nearest.
// d.IsFloat must hold.
func (d DType) AppendFloats(data []byte, x []float32) []byte {
	return safetensors.AppendFloats(data, x, safetensors.DType(d))
}
