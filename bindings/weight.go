package bindings

import "qlora/nf4"

// A Weight is a frozen or trained matrix [out, in] on a device: dense in 32 or 16 bits,
// or in 4-bit or 8-bit blocks. Exactly one of Dense, Quantized and EightBit is present.
type Weight struct {
	Out, In   int
	Dense     Tensor // F32, BF16 or F16, [out, in]
	Quantized *Quantized
	EightBit  *EightBit // on a device whose Info says that it multiplies it
}

// Quantized is a matrix in bitsandbytes' 4-bit format: the flattened [out, in] in blocks
// of BlockSize consecutive elements with one scale each, two codes per byte, the first
// in the high nibble. GGML's 4-bit codes are held the same, in blocks of 32. With double
// quantization the scales are 8-bit codes themselves:
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

// NestedBlockSize is the number of scales that share one second-level scale in
// bitsandbytes.
const NestedBlockSize = 256

// NewQuantized allocates an [out, in] matrix in 4 bits.
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

// EightBit is a matrix in GGML's Q8_0: the flattened [out, in] in blocks of BlockSize
// consecutive elements with one scale each. An element is its code times the scale, rounded
// to float32.
type EightBit struct {
	BlockSize int
	Codes     Tensor // U8 [1, out*in], signed bytes
	Scales    Tensor // F16 [1, blocks]
}

// NewEightBit allocates an [out, in] matrix in 8 bits.
func NewEightBit(a *Arena, out, in, blockSize int) *EightBit {
	n := out * in
	return &EightBit{BlockSize: blockSize, Codes: a.New(U8, 1, n), Scales: a.New(F16, 1, (n+blockSize-1)/blockSize)}
}

// A Linear is a projection y = x·Wᵀ + bias + Scale·(dropout(x)·Aᵀ)·Bᵀ: the base
// weight, its bias and its adapter are one operation.
type Linear struct {
	Name    string // "model.layers.0.self_attn.q_proj", for messages
	Weight  Weight
	Bias    Tensor   // [1, out]; optional
	Adapter *Adapter // nil: no adapter
}

// An Adapter is a low-rank update of a Linear (Hu et al. 2021). With a Magnitude it is
// weight-decomposed (DoRA, Liu et al. 2024): the rows of the updated weight are
// normalized and multiplied by the Magnitude.
type Adapter struct {
	A       Tensor  // [r, in]
	B       Tensor  // [out, r]
	Scale   float32 // alpha/r, or alpha/sqrt(r) with rsLoRA
	Dropout float32 // probability of dropping an element of the adapter's input
	Stream  uint32  // random stream of this adapter's mask

	Magnitude Tensor // F32 [1, out]; absent: a plain low-rank update
	Norms     Tensor // F32 [1, out], RowNorms' result for the current A and B; with Magnitude
}

// Rank returns the adapter's r.
func (a *Adapter) Rank() int { return a.A.Rows }
