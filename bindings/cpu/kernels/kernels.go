// Package kernels has the CPU's matrix products, one family for each kind of processor.
//
// A product is Sums[i, j] = sum over k of Left[i, k]·Right[j, k]: both operands are lines of
// the same depth. They are packed into panels first, in the type and order that the family
// multiplies; weights in codes are decoded while they are packed, never as a whole. A packed
// operand serves several products.
//
// An element of the sums is added up in order of depth, whatever the other sizes are: a
// caller may cut rows and columns as it likes without a change of bits, but must cut the
// depth by the product's shape alone, for example at multiples of Info.Slice.
package kernels

import (
	"fmt"
	"unsafe"

	"qlora/bindings"
)

// An Operand is a matrix in memory that a product reads as [lines, depth]: element (l, k) is
// element l·Stride + k from Data, or k·Stride + l if it is Transposed. Its memory, panels and
// sums must be outside Go's heap or pinned.
type Operand struct {
	Type       bindings.DType // F32, BF16 or F16; without meaning for Codes
	Data       unsafe.Pointer
	Stride     int
	Transposed bool

	Coded    *Coded    // the 4-bit weight instead of Data
	EightBit *EightBit // the 8-bit weight instead of Data
	First    int       // the flattened element of the weight in codes at which the operand begins
}

// Coded is a weight in bitsandbytes' 4-bit format; see bindings.Quantized for the fields.
type Coded struct {
	Codes     unsafe.Pointer
	Values    [16]float32
	BlockSize int

	Absmax *float32 // nil with double quantization

	AbsmaxCodes     *uint8
	NestedAbsmax    *float32
	NestedBlockSize int
	Map             *float32
	Offset          float32
}

// EightBit is a weight in bindings.EightBit's format.
type EightBit struct {
	Codes     unsafe.Pointer // int8
	Scales    *uint16        // float16
	BlockSize int
}

// At returns o from a line and depth on.
func (o Operand) At(line, depth int) Operand {
	at := line*o.Stride + depth
	if o.Transposed {
		at = depth*o.Stride + line
	}
	if o.Coded != nil || o.EightBit != nil {
		o.First += at
	} else {
		o.Data = unsafe.Add(o.Data, int64(at)*o.Type.Size())
	}
	return o
}

// T returns the transpose of o: lines and depth change places.
func (o Operand) T() Operand {
	o.Transposed = !o.Transposed
	return o
}

// Info describes a family.
type Info struct {
	Name string // "avx512", for QLORA_CPU_KERNELS and messages
	BF16 bool   // panels hold bfloat16: operands are rounded to it

	Rows, Cols int // lines of a left and of a right panel
	Unit       int // the depth of a panel is padded to a multiple of it
	Bytes      int // of an element of a panel
	Slice      int // the depth at which a product is best cut

	// LeftPiece and RightPiece are lines of operands that, a slice deep, stay in a core's
	// cache together with their sums: multiples of Rows and Cols.
	LeftPiece, RightPiece int

	Detail    string // "float32, 512 bits", for people
	Preferred bool   // false if this processor multiplies float32 at least as fast

	// Rounding is how far packing moves a product of two elements at most, relative to it:
	// 2^-7 for operands rounded to bfloat16, 3·2^-16 for pairs of bfloat16, 0 for float32.
	Rounding float64
	Emulated bool // runs on instructions written in C: slow, for tests
	Trial    bool // has not run on such a processor yet: taken only by name
}

// Describe returns the name and what the family multiplies with.
func (i *Info) Describe() string { return fmt.Sprintf("%s (%s)", i.Name, i.Detail) }

// LeftBytes returns the size of a packed left operand. For lines that are a multiple of Rows
// it is also where the panel of that line begins.
func (i *Info) LeftBytes(lines, depth int) int { return i.panels(lines, i.Rows, depth) }

// RightBytes returns the size of a packed right operand. For lines that are a multiple of
// Cols it is also where the panel of that line begins.
func (i *Info) RightBytes(lines, depth int) int { return i.panels(lines, i.Cols, depth) }

// RightPart returns where the panel of a line, a multiple of Cols, begins in a right operand
// packed with a depth, from a part of the depth on that is a multiple of Unit. Elements of a
// panel are in order of depth: what begins there is a packed operand of Cols lines and any
// depth that remains.
func (i *Info) RightPart(line, depth, from int) int {
	return i.RightBytes(line, depth) + from*i.Cols*i.Bytes
}

func (i *Info) panels(lines, width, depth int) int {
	return roundUp(lines, width) * roundUp(depth, i.Unit) * i.Bytes
}

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }

// A Family multiplies on the calling goroutine. It is safe for concurrent use.
type Family interface {
	Info() *Info
	// PackLeft and PackRight pack a [lines, depth] operand, each element times scale.
	PackLeft(dst []byte, o *Operand, lines, depth int, scale float32)
	PackRight(dst []byte, o *Operand, lines, depth int, scale float32)
	// Multiply computes sums [rows, cols], its rows stride elements apart, from packed
	// operands of the same depth. With accumulate it adds to sums, else it does not read
	// them.
	Multiply(sums []float32, stride int, left, right []byte, rows, cols, depth int, accumulate bool)
}

// Families returns the families that this processor runs, in order of preference, with
// gonum's last. Emulated ones and those on trial are not among them.
func Families() []Family {
	return append(native(func(i *Info) bool { return !i.Emulated && !i.Trial }), Gonum)
}

// Emulated returns the families that run on emulated instructions.
func Emulated() []Family { return native(func(i *Info) bool { return i.Emulated }) }

// Trial returns the families on trial that this processor runs.
func Trial() []Family { return native(func(i *Info) bool { return i.Trial }) }

// Find returns the family with that name, also one that is emulated or on trial, or an error that lists the
// names of the others.
func Find(name string) (Family, error) {
	var names []string
	for _, f := range Families() {
		if f.Info().Name == name {
			return f, nil
		}
		names = append(names, f.Info().Name)
	}
	for _, f := range append(Emulated(), Trial()...) {
		if f.Info().Name == name {
			return f, nil
		}
	}
	return nil, fmt.Errorf("%q is no family of kernels that this processor runs; it runs %v", name, names)
}

// Exact returns the preferred family that rounds no operand.
func Exact() Family {
	for _, f := range Families() {
		if !f.Info().BF16 && f.Info().Rounding == 0 {
			return f
		}
	}
	return Gonum
}

// Best returns the preferred family for operands of a type: for BF16 one that multiplies
// bfloat16 if the processor has one that is faster than float32, otherwise one that
// multiplies float32.
func Best(operands bindings.DType) Family {
	if operands == bindings.BF16 {
		for _, f := range Families() {
			if f.Info().BF16 && f.Info().Preferred {
				return f
			}
		}
	}
	for _, f := range Families() {
		if !f.Info().BF16 {
			return f
		}
	}
	return Gonum
}
