package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"
)

// A DamagedError reports a weight with a value that is not finite. Its text is a sentence
// of its own.
type DamagedError struct{ text string }

// Damagedf returns a DamagedError with that text.
func Damagedf(format string, args ...any) error { return &DamagedError{fmt.Sprintf(format, args...)} }

func (e *DamagedError) Error() string { return e.text }

// CheckFinite returns a DamagedError, with the first such element, if an element is NaN
// or infinite. where names the tensor. Of a 4-bit tensor it checks the scales. Tensors of
// integers and other encodings pass.
func (t Tensor) CheckFinite(where string) error {
	at := -1
	if packed := t.FourBit(); packed != nil {
		scales := packed.Absmax
		if packed.Nested != nil {
			scales = packed.Nested.Absmax
		}
		for i, x := range scales {
			if x-x != 0 { // NaN or infinite
				at = i
				break
			}
		}
		if at >= 0 {
			return Damagedf("%s has the scale number %d that is not finite: the weights are damaged, so download them again or take another checkpoint", where, at)
		}
		return nil
	}
	if b := t.Blocks(); b != nil {
		at = b.checkFinite(t.Elements())
	}
	switch d, _ := t.Encoding.(Dense); d.DType {
	case F32:
		at = notFinite(d.Data, 4, 0x7f800000_7f800000, 0x00800000_00800000)
	case BF16:
		at = notFinite(d.Data, 2, 0x7f80_7f80_7f80_7f80, 0x0080_0080_0080_0080)
	case F16:
		at = notFinite(d.Data, 2, 0x7c00_7c00_7c00_7c00, 0x0400_0400_0400_0400)
	}
	if at < 0 {
		return nil
	}
	var value [1]float32
	t.Floats(value[:], at)
	return Damagedf("%s has %v as element %d: the weights are damaged, so download them again or take another checkpoint", where, value[0], at)
}

// notFinite returns the first element whose exponent has all bits set, or -1. Elements
// have size bytes; exponent and unit are the bits of the exponent and its lowest bit in
// eight bytes of elements: adding them carries into an element's sign, and no further.
func notFinite(data []byte, size int, exponent, unit uint64) int {
	carry := exponent + unit
	whole := len(data) &^ 7
	for i := 0; i < whole; i += 8 {
		if x := binary.LittleEndian.Uint64(data[i:]); ((x&exponent)+unit)&carry&^exponent != 0 {
			return first(data[i:i+8], size, exponent, i/size)
		}
	}
	return first(data[whole:], size, exponent, whole/size)
}

// first returns the number of the first such element of data, counted from at, or -1.
func first(data []byte, size int, exponent uint64, at int) int {
	for i := 0; i+size <= len(data); i += size {
		bits, all := uint64(binary.LittleEndian.Uint16(data[i:])), exponent&math.MaxUint16
		if size == 4 {
			bits, all = uint64(binary.LittleEndian.Uint32(data[i:])), exponent&math.MaxUint32
		}
		if bits&all == all {
			return at + i/size
		}
	}
	return -1
}
