package lowrank

import (
	"math"
	"runtime"
	"sync"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/gonum"

	"qlora/internal/philox"
)

const (
	// denseSide is the largest smaller side for which all triplets are computed.
	denseSide = 128
	// tolerance is the allowed residual of a triplet, relative to the largest singular
	// value.
	tolerance = 1e-12
	// parts is the number of pieces of a product. It does not depend on the machine's
	// processors, so that sums are the same everywhere.
	parts = 8
)

// Leading returns the r leading singular triplets of a, to float64's precision. r is at
// most the smaller side of a.
//
// It runs Golub and Kahan's bidiagonalization (1965) with full reorthogonalization, from
// a fixed start, until the triplets converge: some hundred products with a, where all
// triplets of a [4096, 4096] cost as much as ten thousands of products. A singular value
// with exact multiplicity may be found once.
func Leading(a Matrix, r int) Triplets {
	side := min(a.Rows, a.Cols)
	if side <= denseSide || 2*r > side {
		return dense(a).first(r)
	}
	b := newBidiagonal(a)
	check := 2*r + 16
	for len(b.alpha) < side {
		b.step()
		if len(b.alpha) >= check {
			if b.converged(r) {
				break
			}
			check = min(side, check+max(8, check/8))
		}
	}
	return b.triplets(r)
}

// bidiagonal is Uᵀ·A·V with alpha on its diagonal and beta above it, after len(alpha)
// steps.
type bidiagonal struct {
	a           Matrix
	u, v        Matrix // [steps, rows] and [steps+1, cols], orthonormal rows
	alpha, beta []float64
	largest     float64 // of alpha and beta, close to the largest singular value
	partial     Matrix  // partial sums of a product with the transpose
	drawn       uint32
}

func newBidiagonal(a Matrix) *bidiagonal {
	b := &bidiagonal{a: a, u: Matrix{Cols: a.Rows}, v: Matrix{Cols: a.Cols}, partial: New(parts, a.Cols)}
	b.add(&b.v, make([]float64, a.Cols))
	return b
}

// step extends U and V by one vector.
func (b *bidiagonal) step() {
	k := len(b.alpha)
	x := make([]float64, b.a.Rows)
	b.mul(x, b.v.row(k).Data)
	b.alpha = append(b.alpha, b.add(&b.u, x))
	y := make([]float64, b.a.Cols)
	b.mulT(y, b.u.row(k).Data)
	if b.v.Rows == b.a.Cols {
		b.beta = append(b.beta, 0) // V is complete
		return
	}
	b.beta = append(b.beta, b.add(&b.v, y))
}

// add makes x orthogonal to the rows of basis, normalizes it, appends it, and returns
// its former length. If x vanishes, add appends a random vector and returns 0: the basis
// spans an invariant subspace of a.
func (b *bidiagonal) add(basis *Matrix, x []float64) float64 {
	length, scale := orthogonalize(*basis, x), b.largest
	given := length
	for !(length > 1e-14*scale) {
		if basis.Rows == basis.Cols {
			clear(x) // complete
			break
		}
		given = 0
		normal := make([]float32, len(x))
		philox.Normal(normal, 0, b.drawn, 1)
		b.drawn++
		for i, z := range normal {
			x[i] = float64(z)
		}
		length, scale = orthogonalize(*basis, x), 0
	}
	if length > 0 {
		blas64.Scal(1/length, vector(x))
	}
	basis.Data = append(basis.Data, x...)
	basis.Rows++
	b.largest = max(b.largest, given)
	return given
}

// orthogonalize subtracts x's projections on the rows of basis, twice, because rounding
// leaves a remainder the first time. It returns the length of the result.
func orthogonalize(basis Matrix, x []float64) float64 {
	if basis.Rows > 0 {
		along := vector(make([]float64, basis.Rows))
		for range 2 {
			blas64.Gemv(blas.NoTrans, 1, basis.general(), vector(x), 0, along)
			blas64.Gemv(blas.Trans, -1, basis.general(), along, 1, vector(x))
		}
	}
	return blas64.Nrm2(vector(x))
}

func vector(x []float64) blas64.Vector { return blas64.Vector{N: len(x), Inc: 1, Data: x} }

// converged reports whether the r leading triplets of the bidiagonal are those of a: the
// residual of a triplet is the last beta times the last element of its left vector.
func (b *bidiagonal) converged(r int) bool {
	k := len(b.alpha)
	last := make([]float64, k)
	last[k-1] = 1
	values := b.factor(nil, 0, last, 1)
	for i := range r {
		if !(math.Abs(b.beta[k-1]*last[i]) <= tolerance*values[0]) {
			return false
		}
	}
	return true
}

// factor returns the singular values of the bidiagonal P·diag·Zᵀ. It replaces vt, with
// cols columns, by Zᵀ·vt and u, with rows rows, by u·P.
func (b *bidiagonal) factor(vt []float64, cols int, u []float64, rows int) []float64 {
	k := len(b.alpha)
	values := append([]float64(nil), b.alpha...)
	above := append([]float64(nil), b.beta[:k-1]...)
	work := make([]float64, 4*k)
	if !(gonum.Implementation{}).Dbdsqr(blas.Upper, k, cols, rows, 0, values, above, vt, max(1, cols), u, k, nil, 1, work) {
		panic("lowrank: the values of a bidiagonal matrix did not converge")
	}
	return values
}

func (b *bidiagonal) triplets(r int) Triplets {
	k := len(b.alpha)
	p, zt := identity(k), identity(k)
	values := b.factor(zt.Data, k, p.Data, k)
	t := Triplets{S: values[:r]}
	top := New(k, r)
	for i := range k {
		copy(top.Data[i*r:(i+1)*r], p.Data[i*k:])
	}
	t.U = product(true, b.u, top)
	t.V = product(false, Matrix{r, k, zt.Data[:r*k]}, Matrix{k, b.v.Cols, b.v.Data[:k*b.v.Cols]})
	return t
}

func identity(n int) Matrix {
	m := New(n, n)
	for i := range n {
		m.Data[i*n+i] = 1
	}
	return m
}

// mul computes y = a·x, mulT y = aᵀ·x.
func (b *bidiagonal) mul(y, x []float64) {
	b.parallel(func(_, from, to int) {
		blas64.Gemv(blas.NoTrans, 1, b.rows(from, to), vector(x), 0, vector(y[from:to]))
	})
}

func (b *bidiagonal) mulT(y, x []float64) {
	b.parallel(func(part, from, to int) {
		blas64.Gemv(blas.Trans, 1, b.rows(from, to), vector(x[from:to]), 0, b.partial.row(part))
	})
	for part := range parts {
		blas64.Axpy(1, b.partial.row(part), vector(y))
	}
}

func (b *bidiagonal) rows(from, to int) blas64.General {
	return Matrix{to - from, b.a.Cols, b.a.Data[from*b.a.Cols : to*b.a.Cols]}.general()
}

// parallel divides the rows of a into non-empty parts.
func (b *bidiagonal) parallel(do func(part, from, to int)) {
	pieces := make(chan int)
	var workers sync.WaitGroup
	for range min(parts, runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for part := range pieces {
				do(part, part*b.a.Rows/parts, (part+1)*b.a.Rows/parts)
			}
		})
	}
	for part := range parts {
		pieces <- part
	}
	close(pieces)
	workers.Wait()
}
