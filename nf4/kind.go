// Package nf4 quantizes weights to 4 bits in blocks, NF4 (Dettmers et al. 2023,
// "QLoRA") or bitsandbytes' FP4, and the blocks' absmax to 8 bits ("double
// quantization"). The numbers are bitsandbytes': the same codes, absmax and
// dequantized weights, to the bit; Quantize and Nest say where its back ends differ
// among themselves and which one is followed.
package nf4

import "fmt"

// Kind is a 4-bit code: which 16 values there are.
type Kind uint8

// The codes that bitsandbytes knows.
const (
	NF4 Kind = iota // 4-bit NormalFloat (Dettmers et al. 2023)
	FP4             // bitsandbytes' 4-bit float, sign, 2 exponent bits, 1 mantissa bit
)

// String returns the code's name as bitsandbytes spells it.
func (k Kind) String() string { return [...]string{"nf4", "fp4"}[k] }

// ParseKind returns the code that bitsandbytes calls name.
func ParseKind(name string) (Kind, error) {
	switch name {
	case "nf4":
		return NF4, nil
	case "fp4":
		return FP4, nil
	}
	return 0, fmt.Errorf("4-bit type %q is unknown; nf4 and fp4 are known", name)
}
