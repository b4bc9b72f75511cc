// Package lowrank computes the best low-rank factors of a matrix: the leading singular
// triplets, exactly or by a randomized method, and the first columns of a QR
// decomposition. All arithmetic is in float64; the same input gives the same bits.
package lowrank

import (
	"fmt"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/lapack64"
)

// A Matrix is dense and row-major: element i, j is Data[i*Cols+j].
type Matrix struct {
	Rows, Cols int
	Data       []float64
}

// New returns a matrix of zeros.
func New(rows, cols int) Matrix { return Matrix{rows, cols, make([]float64, rows*cols)} }

func (m Matrix) general() blas64.General {
	return blas64.General{Rows: m.Rows, Cols: m.Cols, Stride: max(1, m.Cols), Data: m.Data}
}

// T returns a copy of the transpose.
func (m Matrix) T() Matrix {
	t := New(m.Cols, m.Rows)
	for i := range m.Rows {
		for j, x := range m.Data[i*m.Cols : (i+1)*m.Cols] {
			t.Data[j*m.Rows+i] = x
		}
	}
	return t
}

// row returns row i.
func (m Matrix) row(i int) blas64.Vector {
	return blas64.Vector{N: m.Cols, Inc: 1, Data: m.Data[i*m.Cols : (i+1)*m.Cols]}
}

// MulAdd adds alpha·a·b to m.
func (m Matrix) MulAdd(alpha float64, a, b Matrix) {
	if a.Cols != b.Rows || m.Rows != a.Rows || m.Cols != b.Cols {
		panic(fmt.Sprintf("lowrank: [%d %d] += [%d %d]·[%d %d]", m.Rows, m.Cols, a.Rows, a.Cols, b.Rows, b.Cols))
	}
	blas64.Gemm(blas.NoTrans, blas.NoTrans, alpha, a.general(), b.general(), 1, m.general())
}

// product returns a·b, or aᵀ·b if transA is set.
func product(transA bool, a, b Matrix) Matrix {
	rows, trans := a.Rows, blas.NoTrans
	if transA {
		rows, trans = a.Cols, blas.Trans
	}
	c := New(rows, b.Cols)
	blas64.Gemm(trans, blas.NoTrans, 1, a.general(), b.general(), 0, c.general())
	return c
}

// Triplets are singular values in decreasing order, with their vectors: the original
// matrix is approximately U·diag(S)·V.
type Triplets struct {
	U Matrix // [rows, r], orthonormal columns
	S []float64
	V Matrix // [r, cols], orthonormal rows
}

// Orthonormal replaces the columns of a, at most as many as rows, by an orthonormal
// basis of their span: the Q of LAPACK's QR decomposition.
func Orthonormal(a Matrix) Matrix {
	if a.Cols > a.Rows {
		panic(fmt.Sprintf("lowrank: %d columns in %d dimensions", a.Cols, a.Rows))
	}
	q := Matrix{a.Rows, a.Cols, append([]float64(nil), a.Data...)}
	if a.Cols == 0 {
		return q
	}
	tau := make([]float64, a.Cols)
	work := make([]float64, 1)
	lapack64.Geqrf(q.general(), tau, work, -1)
	work = make([]float64, int(work[0]))
	lapack64.Geqrf(q.general(), tau, work, len(work))
	lapack64.Orgqr(q.general(), tau, work[:1], -1)
	work = make([]float64, max(len(work), int(work[0])))
	lapack64.Orgqr(q.general(), tau, work, len(work))
	return q
}

// QR returns the first r columns of Q and the first r rows of R, where a = Q·R and Q has
// orthonormal columns, with LAPACK's signs. r is at most the smaller side of a.
func QR(a Matrix, r int) (q, top Matrix) {
	first := New(a.Rows, r)
	for i := range a.Rows {
		copy(first.Data[i*r:(i+1)*r], a.Data[i*a.Cols:])
	}
	// Householder's steps go from left to right: the first r are independent of the
	// rest.
	q = Orthonormal(first)
	return q, product(true, q, a)
}
