package lowrank

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func gaussian(rows, cols int, seed uint64) Matrix {
	r := rand.New(rand.NewPCG(seed, 0))
	m := New(rows, cols)
	for i := range m.Data {
		m.Data[i] = r.NormFloat64()
	}
	return m
}

// falling returns a matrix with the singular values 1, ratio, ratio², …
func falling(rows, cols int, ratio float64) Matrix {
	side := min(rows, cols)
	u, v := Orthonormal(gaussian(rows, side, 1)), Orthonormal(gaussian(cols, side, 2))
	s := 1.0
	for j := range side {
		for i := range rows {
			u.Data[i*side+j] *= s
		}
		s *= ratio
	}
	return product(false, u, v.T())
}

// distance returns the Frobenius norm of a-b over that of a.
func distance(a, b Matrix) float64 {
	var difference, size float64
	for i := range a.Data {
		difference += (a.Data[i] - b.Data[i]) * (a.Data[i] - b.Data[i])
		size += a.Data[i] * a.Data[i]
	}
	return math.Sqrt(difference / max(size, 1e-300))
}

func (t Triplets) matrix() Matrix {
	scaled := New(t.U.Rows, t.U.Cols)
	for i := range t.U.Rows {
		for j, s := range t.S {
			scaled.Data[i*len(t.S)+j] = t.U.Data[i*len(t.S)+j] * s
		}
	}
	return product(false, scaled, t.V)
}

// TestLeading compares the iteration with LAPACK's decomposition.
func TestLeading(t *testing.T) {
	low := New(200, 150)
	low.MulAdd(1, gaussian(200, 5, 3), gaussian(5, 150, 4))
	for _, c := range []struct {
		name string
		a    Matrix
		r    int
	}{
		{"noise", gaussian(200, 170, 5), 12},
		{"wide noise", gaussian(140, 260, 6), 3},
		{"small", gaussian(20, 30, 7), 20},
		{"fast decay", falling(150, 180, 0.5), 16},
		{"slow decay", falling(180, 150, 0.99), 8},
		{"rank 5", low, 9},
		{"zero", New(150, 140), 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, want := Leading(c.a, c.r), dense(c.a).first(c.r)
			require.Len(t, got.S, c.r)
			for i := range want.S {
				assert.InDelta(t, want.S[i], got.S[i], 1e-12*max(1, want.S[0]), "value %d", i)
			}
			assert.Less(t, distance(want.matrix(), got.matrix()), 1e-9)
			if want.S[c.r-1] > 1e-9 {
				assert.Less(t, distance(identity(c.r), product(true, got.U, got.U)), 1e-12, "columns of U")
				assert.Less(t, distance(identity(c.r), product(false, got.V, got.V.T())), 1e-12, "rows of V")
			}
		})
	}
}

// TestLeadingFindsRepeatedValues uses equal singular values only: any r directions are
// leading ones.
func TestLeadingFindsRepeatedValues(t *testing.T) {
	got := Leading(identity(160), 6)
	assert.InDeltaSlice(t, []float64{1, 1, 1, 1, 1, 1}, got.S, 1e-12)
	assert.Less(t, distance(identity(6), product(true, got.U, got.U)), 1e-12)
}

func TestLeadingIsAFunction(t *testing.T) {
	a := gaussian(300, 200, 8)
	assert.Equal(t, Leading(a, 4), Leading(a, 4))
}

// TestRandomized checks what the method promises: the leading triplets with enough
// iterations, and with few a residual near the best one's.
func TestRandomized(t *testing.T) {
	drawn := uint64(9)
	normal := func(x []float64) { copy(x, gaussian(1, len(x), drawn).Data) }
	for _, a := range []Matrix{falling(120, 80, 0.7), falling(80, 120, 0.7)} {
		best := dense(a).first(6)
		got := Randomized(a, 6, 24, normal)
		assert.Less(t, distance(best.matrix(), got.matrix()), 1e-6)
		assert.InDeltaSlice(t, best.S, got.S, 1e-9)

		few := Randomized(a, 6, 2, normal)
		assert.Less(t, distance(a, few.matrix()), 1.05*distance(a, best.matrix()))
		assert.Less(t, distance(identity(6), product(true, few.U, few.U)), 1e-12)
	}
}

func TestQR(t *testing.T) {
	for _, c := range []struct{ rows, cols, r int }{{12, 7, 3}, {7, 12, 7}, {9, 9, 1}} {
		a := gaussian(c.rows, c.cols, 10)
		q, top := QR(a, c.r)
		assert.Less(t, distance(identity(c.r), product(true, q, q)), 1e-14)
		for i := range c.r {
			for j := range i {
				assert.InDelta(t, 0, top.Data[i*c.cols+j], 1e-14, "below the diagonal of R")
			}
		}
		left := Matrix{c.rows, c.cols, append([]float64(nil), a.Data...)}
		left.MulAdd(-1, q, top)
		for i := range c.rows {
			for j := range c.r {
				assert.InDelta(t, 0, left.Data[i*c.cols+j], 1e-13, "the first columns are Q·R alone")
			}
		}
	}
}

func BenchmarkLeading(b *testing.B) {
	for _, c := range []struct {
		name       string
		rows, cols int
	}{{"576x576", 576, 576}, {"1536x576", 1536, 576}, {"4096x4096", 4096, 4096}} {
		a := gaussian(c.rows, c.cols, 11)
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				Leading(a, 16)
			}
		})
		b.Run(c.name+"/niter4", func(b *testing.B) {
			for b.Loop() {
				Randomized(a, 16, 4, func(x []float64) { copy(x, gaussian(1, len(x), 12).Data) })
			}
		})
	}
}
