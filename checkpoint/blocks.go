package checkpoint

import (
	"fmt"

	"qlora/internal/ggml"
)

// A Blocks is the encoding of a tensor of a GGUF file whose elements are not those of Hugging
// Face's tensor one after the other: they are quantized, or their rows are in another order, or
// shifted. Floats converts what it reads.
type Blocks struct {
	kind  ggml.Type
	data  []byte
	cols  int     // elements of a row of data
	rows  []int   // row i is row rows[i] of data; nil: all rows in order
	shift float32 // that data's elements have more
}

// Type returns GGML's name of the type, such as "Q4_K".
func (b *Blocks) Type() string { return b.kind.String() }

// Quantized reports whether the type is one of blocks of codes with scales, not of plain floats.
func (b *Blocks) Quantized() bool {
	elements, _ := b.kind.Block()
	return elements > 1
}

// Bytes returns the size of the tensor's rows in the file.
func (b *Blocks) Bytes() int64 {
	if b.rows == nil {
		return int64(len(b.data))
	}
	return int64(len(b.rows)) * int64(b.rowBytes())
}

func (b *Blocks) rowBytes() int {
	elements, size := b.kind.Block()
	return b.cols / elements * size
}

// Floats converts len(dst) elements, starting at element from.
func (b *Blocks) Floats(dst []float32, from int) {
	if b.rows == nil {
		b.read(dst, b.data, from)
	} else {
		for done := 0; done < len(dst); {
			row, in := (from+done)/b.cols, (from+done)%b.cols
			n := min(b.cols-in, len(dst)-done)
			at := b.rows[row] * b.rowBytes()
			b.read(dst[done:done+n], b.data[at:at+b.rowBytes()], in)
			done += n
		}
	}
	if b.shift != 0 {
		for i := range dst {
			dst[i] -= b.shift
		}
	}
}

// read converts the elements of data from number from on.
func (b *Blocks) read(dst []float32, data []byte, from int) {
	elements, size := b.kind.Block()
	first, skip := from/elements, from%elements
	blocks := (skip + len(dst) + elements - 1) / elements
	data = data[first*size : (first+blocks)*size]
	if skip == 0 && len(dst) == blocks*elements {
		b.convert(dst, data)
		return
	}
	values := make([]float32, blocks*elements)
	b.convert(values, data)
	copy(dst, values[skip:])
}

func (b *Blocks) convert(dst []float32, data []byte) {
	if err := ggml.Dequantize(b.kind, dst, data); err != nil {
		panic(fmt.Sprintf("checkpoint: %v", err)) // openGGUF has checked the type and the size
	}
}

// checkFinite returns the first element that is not finite, or -1.
func (b *Blocks) checkFinite(elements int) int {
	const piece = 1 << 16
	values := make([]float32, min(piece, elements))
	for from := 0; from < elements; from += piece {
		part := values[:min(piece, elements-from)]
		b.Floats(part, from)
		for i, x := range part {
			if x-x != 0 {
				return from + i
			}
		}
	}
	return -1
}

// Blocks returns the encoding of a tensor of a GGUF file, or nil for any other tensor.
func (t Tensor) Blocks() *Blocks {
	b, _ := t.Encoding.(*Blocks)
	return b
}

// Plain returns the type in which the tensor is written to a Hugging Face folder: DType, or
// BF16 for one that is quantized in GGML's blocks, whose values are more exact in float32 than
// they need to be.
func (t Tensor) Plain() DType {
	if b := t.Blocks(); b != nil && b.Quantized() {
		return BF16
	}
	return t.DType
}
