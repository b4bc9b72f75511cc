package checkpoint

import (
	"fmt"

	"qlora/internal/safetensors"
)

// A Tensor is a tensor of a checkpoint. What it holds is a view of the file, valid
// until the checkpoint is closed and never to be written.
type Tensor struct {
	Name     string
	Shape    []int // outermost first; empty for a scalar; of a quantized weight its own, [out, in]
	DType    DType // of the elements or, of a quantized weight, of those it was made from
	Encoding Encoding

	stored []safetensors.Tensor // what it is made of, where it came from a file
}

// An Encoding is how a tensor's elements are stored. Dense and *FourBit are known by
// name; of any other the elements can be read.
type Encoding interface {
	// Floats fills dst with the elements from the one numbered from on. It may be
	// called from many goroutines.
	Floats(dst []float32, from int)
	// Bytes returns what the elements and their scales take in the checkpoint.
	Bytes() int64
}

// Dense stores elements one after the other, little-endian and row-major.
type Dense struct {
	DType DType
	Data  []byte
}

// Floats reads elements, whose type must be one that IsFloat.
func (d Dense) Floats(dst []float32, from int) {
	safetensors.Tensor{DType: safetensors.DType(d.DType), Data: d.Data}.Floats(dst, from)
}

// Bytes returns the length of the data.
func (d Dense) Bytes() int64 { return int64(len(d.Data)) }

// NewDense returns the dense tensor of data, whose length must be what the type and
// the shape take.
func NewDense(name string, dtype DType, shape []int, data []byte) Tensor {
	if len(data) != product(shape)*dtype.Size() {
		panic(fmt.Sprintf("checkpoint: tensor %s: %d bytes are not %s %v", name, len(data), dtype, shape))
	}
	return Tensor{Name: name, DType: dtype, Shape: shape, Encoding: Dense{dtype, data}}
}

func denseOf(t safetensors.Tensor) Tensor {
	return Tensor{
		Name: t.Name, DType: DType(t.DType), Shape: t.Shape, Encoding: Dense{DType(t.DType), t.Data},
		stored: []safetensors.Tensor{t},
	}
}

// Elements returns the product of the shape.
func (t Tensor) Elements() int { return product(t.Shape) }

// Bytes returns what the tensor takes in the checkpoint.
func (t Tensor) Bytes() int64 {
	if t.stored == nil {
		return t.Encoding.Bytes()
	}
	var n int64
	for _, s := range t.stored {
		n += int64(len(s.Data))
	}
	return n
}

// IsDense reports whether the elements lie one after the other, and not quantized.
func (t Tensor) IsDense() bool {
	_, ok := t.Encoding.(Dense)
	return ok
}

// Data returns the elements of a dense tensor, nil of another.
func (t Tensor) Data() []byte {
	d, _ := t.Encoding.(Dense)
	return d.Data
}

// FourBit returns the codes and scales of a weight in 4 bits, nil of another tensor.
func (t Tensor) FourBit() *FourBit {
	w, _ := t.Encoding.(*FourBit)
	return w
}

// Floats fills dst with the elements from the one numbered from on. The tensor is
// quantized or its type one that IsFloat.
func (t Tensor) Floats(dst []float32, from int) { t.Encoding.Floats(dst, from) }

// Transposed returns a copy of a dense matrix [in, out], as GPT-2's Conv1D layers
// store it, as [out, in]. A quantized weight is returned as it is: bitsandbytes holds
// those of Conv1D layers as [out, in].
func (t Tensor) Transposed() Tensor {
	d, ok := t.Encoding.(Dense)
	if !ok || len(t.Shape) != 2 {
		return t
	}
	rows, cols := t.Shape[0], t.Shape[1]
	return NewDense(t.Name, t.DType, []int{cols, rows}, Transpose(d.Data, rows, cols, t.DType.Size()))
}

// Transpose returns the matrix [rows, cols] of elements of size bytes as [cols, rows].
func Transpose(data []byte, rows, cols, size int) []byte {
	const tile = 64 // rows and columns that are moved while both are in the cache
	out := make([]byte, len(data))
	for top := 0; top < rows; top += tile {
		for left := 0; left < cols; left += tile {
			for i := top; i < min(top+tile, rows); i++ {
				for j := left; j < min(left+tile, cols); j++ {
					copy(out[(j*rows+i)*size:][:size], data[(i*cols+j)*size:][:size])
				}
			}
		}
	}
	return out
}

func product(shape []int) int {
	n := 1
	for _, size := range shape {
		n *= size
	}
	return n
}
