package merge

import (
	"qlora/internal/bnb"
	"qlora/internal/nf4"
	"qlora/internal/safetensors"
)

// A source is a matrix of the base that is read by rows.
type source interface {
	// rows fills dst with rows from to to.
	rows(dst []float32, from, to int)
}

// dense is a tensor of floats with rows of cols elements.
type dense struct {
	safetensors.Tensor
	cols int
}

func (d dense) rows(dst []float32, from, _ int) { d.Floats(dst, from*d.cols) }

// values are a matrix that is in memory.
type values struct {
	x    []float32
	cols int
}

func (v values) rows(dst []float32, from, _ int) { copy(dst, v.x[from*v.cols:]) }

// packed is a 4-bit weight. Its values are exact in float32; bitsandbytes rounds
// them once more, to the type that the weight was quantized from.
type packed struct {
	*bnb.Weight4
	absmax []float32
}

func (p packed) rows(dst []float32, from, to int) {
	cols := p.Shape[1]
	first := from * cols / p.BlockSize // codes are read from a block's beginning on
	skip := from*cols - first*p.BlockSize
	codes := p.Codes[first*p.BlockSize/2:]
	if skip == 0 {
		nf4.Dequantize(dst, codes, p.absmax[first:], p.Kind, p.BlockSize)
		return
	}
	values := make([]float32, skip+(to-from)*cols)
	nf4.Dequantize(values, codes, p.absmax[first:], p.Kind, p.BlockSize)
	copy(dst, values[skip:])
}
