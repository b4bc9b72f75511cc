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

// gonumBlock is the size of the blocks in which gonum's Sgemm divides large products to
// multiply them on several goroutines. A product of one block is summed in order of depth.
const gonumBlock = 64

// Multiply calls the BLAS for each block.
func (f *blasFamily) Multiply(sums []float32, stride int, left, right []byte, rows, cols, depth int, accumulate bool) {
	var beta float32
	if accumulate {
		beta = 1
	}
	a, b := float32s(left), float32s(right)
	for i := 0; i < rows; i += gonumBlock {
		for j := 0; j < cols; j += gonumBlock {
			f.blas.Sgemm(blas.NoTrans, blas.Trans, min(gonumBlock, rows-i), min(gonumBlock, cols-j), depth, 1,
				a[i*depth:], depth, b[j*depth:], depth, beta, sums[i*stride+j:], stride)
		}
	}
}

func float32s(b []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}
