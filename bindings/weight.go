package bindings

import "qlora/nf4"

// A Weight is a frozen or trained matrix [out, in] as a device holds it: dense
// in 32 or 16 bits, or in 4-bit blocks. Exactly one of Dense and Quantized is
// present.
type Weight struct {
	Out, In   int
	Dense     Tensor // F32, BF16 or F16, [out, in]
	Quantized *Quantized
}

// Quantized is a matrix in bitsandbytes' 4-bit format: the flattened [out, in]
// in blocks of BlockSize consecutive elements, two codes a byte, the first in
// the high nibble, a scale a block. With double quantization the scales are
// 8-bit codes themselves:
//
//	absmax[i] = Map[AbsmaxCodes[i]] * NestedAbsmax[i/NestedBlockSize] + Offset
//
// (the product rounded to float32 before the sum).
type Quantized struct {
	Kind      nf4.Kind
	BlockSize int
	Codes     Tensor // U8 [1, ceil(out*in/2)]

	Absmax Tensor // F32 [1, blocks]; absent with double quantization

	AbsmaxCodes     Tensor // U8 [1, blocks]; absent without double quantization
	NestedAbsmax    Tensor // F32 [1, ceil(blocks/NestedBlockSize)]
	NestedBlockSize int
	Map             Tensor // F32 [1, 256]
	Offset          Tensor // F32 [1, 1]
}

// Double reports whether q's scales are quantized too.
func (q *Quantized) Double() bool { return !q.AbsmaxCodes.Absent() }

// NestedBlockSize is how many scales share one second-level scale in
// bitsandbytes.
const NestedBlockSize = 256

// NewQuantized lays out a place for an [out, in] matrix in 4 bits.
func NewQuantized(a *Arena, out, in int, kind nf4.Kind, blockSize int, double bool) *Quantized {
	n := out * in
	blocks := (n + blockSize - 1) / blockSize
	q := &Quantized{Kind: kind, BlockSize: blockSize, Codes: a.New(U8, 1, (n+1)/2)}
	if !double {
		q.Absmax = a.New(F32, 1, blocks)
		return q
	}
	q.AbsmaxCodes = a.New(U8, 1, blocks)
	q.NestedBlockSize = NestedBlockSize
	q.NestedAbsmax = a.New(F32, 1, (blocks+NestedBlockSize-1)/NestedBlockSize)
	q.Map = a.New(F32, 1, 256)
	q.Offset = a.New(F32, 1, 1)
	return q
}

// A Linear is a projection y = x·Wᵀ + bias + Scale·(dropout(x)·Aᵀ)·Bᵀ: the base
// weight, its bias and its adapter are one operation.
type Linear struct {
	Name    string // "model.layers.0.self_attn.q_proj", for messages
	Weight  Weight
	Bias    Tensor   // [1, out]; optional
	Adapter *Adapter // nil: none
}

// An Adapter is a low-rank update of a Linear (Hu et al. 2021). With a Magnitude
// it is a weight-decomposed one (DoRA, Liu et al. 2024): the rows of the updated
// weight keep only their direction, and the Magnitude is their length.
type Adapter struct {
	A       Tensor  // [r, in]
	B       Tensor  // [out, r]
	Scale   float32 // alpha/r, or alpha/sqrt(r) with rsLoRA
	Dropout float32 // probability that an element of x is dropped on the adapter's branch
	Stream  uint32  // which of the random streams draws this adapter's mask

	Magnitude Tensor // F32 [1, out]; absent: the update is added as it is
	Norms     Tensor // F32 [1, out], what RowNorms makes of A and B as they are; with Magnitude
}

// Rank returns the adapter's r.
func (a *Adapter) Rank() int { return a.A.Rows }
