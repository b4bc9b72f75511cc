// Package nf4 quantizes weights to 4 bits in blocks, NF4 (Dettmers et al. 2023, "QLoRA") or
// bitsandbytes' FP4, and the blocks' absmax to 8 bits ("double quantization"). Codes, absmax
// and dequantized weights equal bitsandbytes' bit for bit; Quantize and Nest document where its
// back ends differ and which one they follow.
package nf4

import "fmt"

// Kind is a 4-bit code, which selects the 16 values.
type Kind uint8

// The codes of bitsandbytes.
const (
	NF4 Kind = iota // 4-bit NormalFloat (Dettmers et al. 2023)
	FP4             // bitsandbytes' 4-bit float, sign, 2 exponent bits, 1 mantissa bit
)

// String returns the code's name as bitsandbytes spells it.
func (k Kind) String() string { return [...]string{"nf4", "fp4"}[k] }

// ParseKind returns the code of a bitsandbytes name, "nf4" or "fp4", or an error.
func ParseKind(name string) (Kind, error) {
	switch name {
	case "nf4":
		return NF4, nil
	case "fp4":
		return FP4, nil
	}
	return 0, fmt.Errorf("4-bit type %q is unknown; use nf4 or fp4", name)
}
