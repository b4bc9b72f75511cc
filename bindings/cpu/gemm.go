package cpu

import "gonum.org/v1/gonum/blas"

// A product's result is cut into tiles, one BLAS call each: few and large ones,
// as each call packs its operands anew, but enough of them to keep some cores
// busy. The cut depends on the result's shape alone.
const (
	tileArea   = 1 << 19 // elements of a tile at most
	tilePieces = 8       // tiles at least,
	tileSide   = 128     // but no side is cut below this
)

// tileOf is the size of the tiles of an [m, n] result: its longer side is halved
// until there are enough.
func tileOf(m, n int) (rows, cols int) {
	rows, cols = m, n
	for rows*cols > tileArea || tiles(m, rows)*tiles(n, cols) < tilePieces {
		switch {
		case max(rows, cols) < 2*tileSide:
			return rows, cols
		case rows >= cols:
			rows = (rows + 1) / 2
		default:
			cols = (cols + 1) / 2
		}
	}
	return rows, cols
}

// A matrix is float32 elements [rows, stride], of which a product reads or
// writes the columns that its other operand says.
type matrix struct {
	data   []float32
	stride int
	trans  bool // the product takes the transpose
}

// t is the transpose of m.
func (m matrix) t() matrix {
	m.trans = !m.trans
	return m
}

// row is m from row i on, col from column j on, both of the untransposed m.
func (m matrix) row(i int) matrix { m.data = m.data[i*m.stride:]; return m }
func (m matrix) col(j int) matrix { m.data = m.data[j:]; return m }

// outer is m from index i of its first dimension on, as the product sees it.
func (m matrix) outer(i int) matrix {
	if m.trans {
		return m.col(i)
	}
	return m.row(i)
}

// inner is m from index j of its second dimension on, as the product sees it.
func (m matrix) inner(j int) matrix {
	if m.trans {
		return m.row(j)
	}
	return m.col(j)
}

func dense(data []float32, cols int) matrix { return matrix{data: data, stride: cols} }

func transposed(t bool) blas.Transpose {
	if t {
		return blas.Trans
	}
	return blas.NoTrans
}

// product is c = alpha·a·b + beta·c on the calling goroutine; a is [m, k] and b
// [k, n] after their transposition. With beta 0, c is not read.
func (d *Device) product(m, n, k int, alpha float32, a, b matrix, beta float32, c matrix) {
	d.blas.Sgemm(transposed(a.trans), transposed(b.trans), m, n, k, alpha, a.data, a.stride, b.data, b.stride, beta, c.data, c.stride)
}

// tiled is product with its result's tiles in parallel.
func (d *Device) tiled(m, n, k int, alpha float32, a, b matrix, beta float32, c matrix) {
	if m == 0 || n == 0 {
		return
	}
	rows, cols := tileOf(m, n)
	across := tiles(n, cols)
	d.parallel(tiles(m, rows)*across, func(_, i int) {
		row, col := i/across*rows, i%across*cols
		d.product(min(rows, m-row), min(cols, n-col), k, alpha, a.outer(row), b.inner(col), beta, c.row(row).col(col))
	})
}
