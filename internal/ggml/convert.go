package ggml

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Dequantize writes the elements of whole blocks to dst. It fails if the type cannot be read or
// the lengths do not match; see Type.Bytes.
//
// The types with codebooks of vectors (IQ1_S, IQ1_M, IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S) and
// those that only exist during a product (Q8_1, Q8_K) cannot be read.
func Dequantize(t Type, dst []float32, src []byte) error {
	f := t.format()
	if f == nil || f.decode == nil {
		return fmt.Errorf("tensors of %v cannot be read; use a file in F16, BF16, Q8_0, a K type or IQ4", t)
	}
	if err := t.check(len(dst), len(src)); err != nil {
		return err
	}
	if f.elements == 1 {
		f.decode(dst, src)
		return nil
	}
	for len(dst) > 0 {
		f.decode(dst[:f.elements], src[:f.bytes])
		dst, src = dst[f.elements:], src[f.bytes:]
	}
	return nil
}

// Quantize writes src to whole blocks. It fails if the type cannot be written, the lengths do not
// match, or an element does not fit: a NaN, an infinity, or a value whose block's scale overflows
// binary16. dst is then incomplete. F32 and BF16 take any element.
//
// Blocks do not depend on each other, so a caller can convert the parts of a tensor in parallel.
func Quantize(t Type, dst []byte, src []float32) error {
	f := t.format()
	if f == nil || f.encode == nil {
		return fmt.Errorf("tensors of %v cannot be written", t)
	}
	if err := t.check(len(src), len(dst)); err != nil {
		return err
	}
	if len(f.scales) == 0 {
		f.encode(dst, src)
		return nil
	}
	if f.elements == 1 {
		f.encode(dst, src)
	}
	for at := 0; at < len(src); at += f.elements {
		x, block := src[at:][:f.elements], dst[:f.bytes]
		dst = dst[f.bytes:]
		if f.elements > 1 {
			f.encode(block, x)
		}
		if !f.fits(block, x) {
			i := at + largest(x)
			return fmt.Errorf("element %d: %v does not fit in %s", i, src[i], f.name)
		}
	}
	return nil
}

// check reports lengths that do not match.
func (t Type) check(elements, bytes int) error {
	want, err := t.Bytes(int64(elements))
	if err == nil && want != int64(bytes) {
		err = fmt.Errorf("%d elements of %v are %d bytes, not %d", elements, t, want, bytes)
	}
	return err
}

// fits reports whether the elements and the scales of their block are finite.
func (f *format) fits(block []byte, x []float32) bool {
	for _, at := range f.scales {
		if binary.LittleEndian.Uint16(block[at:])&0x7c00 == 0x7c00 {
			return false
		}
	}
	var sum float32 // of zeros, or NaN
	for _, v := range x {
		sum += v * 0
	}
	return sum == 0
}

// largest returns the index of the element with the largest magnitude, or of the first NaN.
func largest(x []float32) int {
	most := 0
	for i, v := range x {
		if v != v {
			return i
		}
		if abs(v) > abs(x[most]) {
			most = i
		}
	}
	return most
}

func abs(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }
