package nf4

import "qlora/internal/dynamic8"

// Nested is a tensor's absmax, quantized to 8 bits ("double quantization").
type Nested struct {
	Codes     []byte       // one per block of weights
	Absmax    []float32    // one per BlockSize codes
	Map       [256]float32 // the value of each code, for an absmax of 1
	Offset    float32      // the mean, subtracted before quantization
	BlockSize int
}

// Nest quantizes the absmax of a whole tensor. The codes equal those of bitsandbytes 0.50 on
// the CPU.
func Nest(absmax []float32) Nested {
	code := dynamic8.Signed()
	n := Nested{
		Codes:     make([]byte, len(absmax)),
		Absmax:    make([]float32, dynamic8.Blocks(len(absmax))),
		Map:       *code.Values(),
		Offset:    mean(absmax),
		BlockSize: dynamic8.BlockSize,
	}
	centred := make([]float32, dynamic8.BlockSize)
	for b := range n.Absmax {
		start := b * n.BlockSize
		block := absmax[start:min(start+n.BlockSize, len(absmax))]
		for i, x := range block {
			centred[i] = x - n.Offset
		}
		n.Absmax[b] = code.Quantize(n.Codes[start:], centred[:len(block)])
	}
	return n
}

// Expand dequantizes the absmax into dst: value times absmax, then the offset added, each
// rounded to float32. dst must be as long as n.Codes.
func (n *Nested) Expand(dst []float32) { n.ExpandFrom(dst[:len(n.Codes)], 0) }

// ExpandFrom fills dst with the dequantized absmax from number from on.
func (n *Nested) ExpandFrom(dst []float32, from int) {
	checkBlockSize(n.BlockSize)
	for i, code := range n.Codes[from : from+len(dst)] {
		// The conversion prevents fusing the two operations, which would round only once.
		dst[i] = float32(n.Map[code]*n.Absmax[(from+i)/n.BlockSize]) + n.Offset
	}
}
