package checkpoint

import "qlora/nf4"

// FourBit is the encoding of a weight [out, in] in bitsandbytes' 4 bits; package nf4 documents
// its parts. Its values are exact in float32; bitsandbytes rounds them once more, to the type
// that the weight was quantized from.
type FourBit struct {
	Kind      nf4.Kind
	BlockSize int
	DType     DType       // of the weight before quantization: F32, BF16 or F16
	Shape     [2]int      // [out, in]
	Codes     []byte      // (out*in+1)/2
	Absmax    []float32   // one per block; nil where Nested is set
	Nested    *nf4.Nested // absmax under double quantization, else nil
}

// Tensor returns w as the tensor called name.
func (w *FourBit) Tensor(name string) Tensor {
	return Tensor{Name: name, Shape: w.Shape[:], DType: w.DType, Encoding: w}
}

// Floats dequantizes len(dst) elements, starting at element from.
func (w *FourBit) Floats(dst []float32, from int) {
	first := from / w.BlockSize // decoding starts at a block
	skip := from - first*w.BlockSize
	absmax := w.absmax(first, (from+len(dst)+w.BlockSize-1)/w.BlockSize)
	codes := w.Codes[first*w.BlockSize/2:]
	if skip == 0 {
		nf4.Dequantize(dst, codes, absmax, w.Kind, w.BlockSize)
		return
	}
	values := make([]float32, skip+len(dst))
	nf4.Dequantize(values, codes, absmax, w.Kind, w.BlockSize)
	copy(dst, values[skip:])
}

// Bytes returns the size of the codes and scales.
func (w *FourBit) Bytes() int64 {
	if w.Nested == nil {
		return int64(len(w.Codes) + 4*len(w.Absmax))
	}
	return int64(len(w.Codes) + len(w.Nested.Codes) + 4*(len(w.Nested.Absmax)+len(w.Nested.Map)+1))
}

// absmax returns the scales of the blocks [from, to), with double quantization undone.
func (w *FourBit) absmax(from, to int) []float32 {
	if w.Nested == nil {
		return w.Absmax[from:to]
	}
	x := make([]float32, to-from)
	w.Nested.ExpandFrom(x, from)
	return x
}

// packedBytes returns an upper bound of the bytes of n weights in 4 bits: the codes, and at
// most one float32 per block of 32.
func packedBytes(n int) int64 { return int64(n) * 5 / 8 }
