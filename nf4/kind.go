// Package nf4 quantizes weights to 4 bits in blocks, NF4 (Dettmers et al. 2023, "QLoRA") or
// bitsandbytes' FP4, and the blocks' absmax to 8 bits ("double quantization"). Codes, absmax
// and dequantized weights equal bitsandbytes' bit for bit; Quantize and Nest document where its
// back ends differ and which one they follow. Dequantize also reads the 4-bit codes of GGML with
// one scale for each block, which GGUF files have.
package nf4

import "fmt"

// Kind is a 4-bit code, which selects the 16 values.
type Kind uint8

// The codes of bitsandbytes, and those of GGML. The scales of GGML's blocks have a sign, and
// take the place of absmax.
const (
	NF4  Kind = iota // 4-bit NormalFloat (Dettmers et al. 2023)
	FP4              // bitsandbytes' 4-bit float, sign, 2 exponent bits, 1 mantissa bit
	Q4_0             // the integers from -8 to 7
	IQ4              // the integers of IQ4_NL and IQ4_XS, which lie closer near zero
)

// String returns the code's name as bitsandbytes or GGML spells it.
func (k Kind) String() string { return [...]string{"nf4", "fp4", "q4_0", "iq4"}[k] }

// Quantizes reports whether Quantize writes the code: bitsandbytes' two.
func (k Kind) Quantizes() bool { return k <= FP4 }

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
