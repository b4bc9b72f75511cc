package kernels

import (
	"unsafe"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

// Gonum is the reference: operands expanded to float32 as they are, and gonum's products.
var Gonum Family = &blasFamily{Info{Name: "gonum", Rows: 1, Cols: 1, Unit: 1, Bytes: 4, Slice: 1 << 20, LeftPiece: 256, RightPiece: 256, Detail: "float32, the reference in Go", Preferred: true}, gonum.Implementation{}}

// A blasFamily multiplies by a BLAS. Its panels are lines in float32.
type blasFamily struct {
	info Info
	blas blas.Float32Level3
}

// Info returns the family's description.
func (f *blasFamily) Info() *Info { return &f.info }

// PackLeft expands the operand's lines.
func (f *blasFamily) PackLeft(dst []byte, o *Operand, lines, depth int, scale float32) {
	enough("panels", len(dst), f.info.LeftBytes(lines, depth))
	out := float32s(dst)
	for l := range lines {
		line := out[l*depth : (l+1)*depth]
		Expand(line, o, l, 0)
		if scale != 1 {
			for k := range line {
				line[k] *= scale
			}
		}
	}
}

// PackRight expands the operand's lines.
func (f *blasFamily) PackRight(dst []byte, o *Operand, lines, depth int, scale float32) {
	f.PackLeft(dst, o, lines, depth, scale)
}

// Multiply calls the BLAS.
func (f *blasFamily) Multiply(sums []float32, stride int, left, right []byte, rows, cols, depth int, accumulate bool) {
	if rows == 0 || cols == 0 {
		return
	}
	var beta float32
	if accumulate {
		beta = 1
	}
	f.blas.Sgemm(blas.NoTrans, blas.Trans, rows, cols, depth, 1, float32s(left), depth, float32s(right), depth, beta, sums, stride)
}

func float32s(b []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}
