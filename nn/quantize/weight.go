package quantize

import (
	"runtime"
	"sync"

	"qlora/bindings"
	"qlora/checkpoint"
	"qlora/nf4"
)

// pieceElements is the number of float32 values a goroutine converts at a time, a
// multiple of every block size.
const pieceElements = 1 << 16

// Pack returns the matrix t [out, in], of type F32, BF16 or F16, in 4 bits. It reads t
// once, in pieces, on all processors.
func Pack(t checkpoint.Tensor, o *bindings.QuantizeOptions) *checkpoint.FourBit {
	n := t.Elements()
	w := &checkpoint.FourBit{
		Kind: o.Kind, BlockSize: o.BlockSize, DType: t.DType, Shape: [2]int(t.Shape),
		Codes: make([]byte, (n+1)/2),
	}
	absmax := make([]float32, (n+o.BlockSize-1)/o.BlockSize)
	pieces := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			x := make([]float32, pieceElements)
			for from := range pieces {
				to := min(from+pieceElements, n)
				t.Floats(x[:to-from], from)
				nf4.Quantize(w.Codes[from/2:(to+1)/2], absmax[from/o.BlockSize:(to+o.BlockSize-1)/o.BlockSize], x[:to-from], o.Kind, o.BlockSize)
			}
		})
	}
	for from := 0; from < n; from += pieceElements {
		pieces <- from
	}
	close(pieces)
	workers.Wait()
	if !o.Double {
		w.Absmax = absmax
		return w
	}
	nested := nf4.Nest(absmax)
	w.Nested = &nested
	return w
}
