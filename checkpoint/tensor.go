package checkpoint

import (
	"fmt"

	"qlora/internal/safetensors"
)

// A Tensor is a tensor of a checkpoint. Its data is a read-only view of the file, valid until
// the checkpoint is closed.
type Tensor struct {
	Name     string
	Shape    []int // outermost first; empty for a scalar; [out, in] for a quantized weight
	DType    DType // of the elements, or of those that a quantized weight was made from
	Encoding Encoding

	stored []safetensors.Tensor // its parts in the file; nil for one from elsewhere
}

// An Encoding stores a tensor's elements. Dense and *FourBit are known by type; the elements of
// any other can be read with Floats.
type Encoding interface {
	// Floats fills dst with the elements from number from on. It must be safe for concurrent
	// use.
	Floats(dst []float32, from int)
	// Bytes returns the size of the elements and their scales in the checkpoint.
	Bytes() int64
}

// Dense stores elements one after the other, little-endian and row-major.
type Dense struct {
	DType DType
	Data  []byte
}

// Floats reads len(dst) elements, starting at element from. DType.IsFloat must hold.
func (d Dense) Floats(dst []float32, from int) {
	safetensors.Tensor{DType: safetensors.DType(d.DType), Data: d.Data}.Floats(dst, from)
}

// Bytes returns the length of the data.
func (d Dense) Bytes() int64 { return int64(len(d.Data)) }

// NewDense returns the dense tensor of data. It panics if the length of data does not match the
// type and the shape.
func NewDense(name string, dtype DType, shape []int, data []byte) Tensor {
	if len(data) != product(shape)*dtype.Size() {
		panic(fmt.Sprintf("checkpoint: tensor %s: %d bytes do not match %s %v", name, len(data), dtype, shape))
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

// Bytes returns the size of the tensor in the checkpoint.
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

// IsDense reports whether the tensor is dense, not quantized.
func (t Tensor) IsDense() bool {
	_, ok := t.Encoding.(Dense)
	return ok
}

// Data returns the elements of a dense tensor, or nil for any other.
func (t Tensor) Data() []byte {
	d, _ := t.Encoding.(Dense)
	return d.Data
}

// FourBit returns the codes and scales of a 4-bit weight, or nil for any other tensor.
func (t Tensor) FourBit() *FourBit {
	w, _ := t.Encoding.(*FourBit)
	return w
}

// Floats fills dst with the elements from number from on. The tensor must be quantized or of a
// type for which IsFloat holds.
func (t Tensor) Floats(dst []float32, from int) { t.Encoding.Floats(dst, from) }

// Transposed returns a dense matrix [in, out], as GPT-2's Conv1D layers store it, copied to
// [out, in]. It returns a quantized weight unchanged: bitsandbytes stores those of Conv1D
// layers as [out, in].
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
	const tile = 64 // rows and columns of a block that fits the cache
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
