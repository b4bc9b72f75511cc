package fourbit

import (
	"encoding/binary"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"qlora/internal/halffloat"
	"qlora/internal/safetensors"
)

// piece is the elements that one goroutine quantizes at a time: whole blocks
// of every size, which are independent of one another.
const piece = 1 << 18

// inPieces calls do for all of [0, n) in pieces, on all processors.
func inPieces(n int, do func(lo, hi int)) {
	var next atomic.Int64
	var wait sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), (n+piece-1)/piece) {
		wait.Go(func() {
			for {
				hi := int(next.Add(piece))
				lo := hi - piece
				if lo >= n {
					return
				}
				do(lo, min(hi, n))
			}
		})
	}
	wait.Wait()
}

// widen reads little-endian elements of a type that quantize allows.
func widen(dst []float32, data []byte, dtype safetensors.DType) {
	for i := range dst {
		switch dtype {
		case safetensors.F32:
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		case safetensors.BF16:
			dst[i] = halffloat.FromBF16(binary.LittleEndian.Uint16(data[2*i:]))
		case safetensors.F16:
			dst[i] = halffloat.FromF16(binary.LittleEndian.Uint16(data[2*i:]))
		}
	}
}
