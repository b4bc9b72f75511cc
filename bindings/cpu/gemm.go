package cpu

import "gonum.org/v1/gonum/blas"

// A product's result is divided into tiles, one BLAS call each: large ones, because each
// call packs its operands again, but enough of them to keep the cores busy. The division
// depends only on the result's shape.
const (
	tileArea   = 1 << 19 // maximum elements of a tile
	tilePieces = 8       // minimum number of tiles,
	tileSide   = 128     // but no side is smaller than this
)

// tileOf returns the size of the tiles of an [m, n] result. It halves the longer side
// until there are enough tiles.
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

// A matrix is float32 elements [rows, stride]. The product's dimensions determine which
// columns it uses.
type matrix struct {
	data   []float32
	stride int
	trans  bool // use the transpose in products
}

// t returns the transpose of m.
func (m matrix) t() matrix {
	m.trans = !m.trans
	return m
}

// row returns m from row i on, col from column j on, both of the untransposed m.
func (m matrix) row(i int) matrix { m.data = m.data[i*m.stride:]; return m }
func (m matrix) col(j int) matrix { m.data = m.data[j:]; return m }

// outer returns m from index i of its first dimension on, after transposition.
func (m matrix) outer(i int) matrix {
	if m.trans {
		return m.col(i)
	}
	return m.row(i)
}

// inner returns m from index j of its second dimension on, after transposition.
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

// product computes c = alpha·a·b + beta·c on the calling goroutine; a is [m, k] and b
// [k, n] after transposition. With beta 0 it does not read c.
func (d *Device) product(m, n, k int, alpha float32, a, b matrix, beta float32, c matrix) {
	d.blas.Sgemm(transposed(a.trans), transposed(b.trans), m, n, k, alpha, a.data, a.stride, b.data, b.stride, beta, c.data, c.stride)
}

// tiled computes product with the tiles of the result in parallel.
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
