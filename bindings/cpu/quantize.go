package cpu

import (
	"encoding/binary"
	"math"

	"qlora/bindings"
	"qlora/internal/halffloat"
	"qlora/nf4"
)

// quantizePiece is the approximate number of elements per goroutine and turn.
const quantizePiece = 1 << 14

// Quantize works in pieces of whole blocks. Only the pieces and, until they are nested,
// the scales are on Go's heap.
func (d *Device) Quantize(dst *bindings.Weight, src []byte, dtype bindings.DType) error {
	if err := bindings.CheckQuantize(dst, len(src), dtype); err != nil {
		return err
	}
	q := dst.Quantized
	n := dst.Out * dst.In
	codes := elements[uint8](q.Codes)
	var absmax []float32
	if q.Double() {
		absmax = make([]float32, q.AbsmaxCodes.Len())
	} else {
		absmax = f32(q.Absmax)
	}
	size := int(dtype.Size())
	piece := max(1, quantizePiece/q.BlockSize) * q.BlockSize
	buffers := make([]float32, d.threads*piece)
	d.parallel(tiles(n, piece), func(lane, i int) {
		from, to := i*piece, min(n, (i+1)*piece)
		x := buffers[lane*piece:][:to-from]
		decode(x, src[from*size:to*size], dtype)
		nf4.Quantize(codes[from/2:(to+1)/2], absmax[from/q.BlockSize:], x, q.Kind, q.BlockSize)
	})
	if q.Double() {
		nested := nf4.Nest(absmax)
		copy(elements[uint8](q.AbsmaxCodes), nested.Codes)
		copy(f32(q.NestedAbsmax), nested.Absmax)
		copy(f32(q.Map), nested.Map[:])
		f32(q.Offset)[0] = nested.Offset
	}
	return nil
}

// decode reads little-endian elements, which need not be aligned.
func decode(dst []float32, src []byte, dtype bindings.DType) {
	switch dtype {
	case bindings.F32:
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
	case bindings.BF16:
		for i := range dst {
			dst[i] = halffloat.FromBF16(binary.LittleEndian.Uint16(src[2*i:]))
		}
	default:
		for i := range dst {
			dst[i] = halffloat.FromF16(binary.LittleEndian.Uint16(src[2*i:]))
		}
	}
}
