package lowrank

import "gonum.org/v1/gonum/mat"

// Randomized returns r singular triplets of a by subspace iteration (Halko, Martinsson
// and Tropp 2011, arXiv 0909.4061, algorithms 4.4 and 5.1), as torch.svd_lowrank does:
// the test matrix has r columns, and every iteration multiplies by a twice. normal fills
// its argument with independent standard normal numbers. r is at most the smaller side
// of a.
func Randomized(a Matrix, r, iterations int, normal func([]float64)) Triplets {
	if a.Rows < a.Cols {
		t := Randomized(a.T(), r, iterations, normal)
		return Triplets{U: t.V.T(), S: t.S, V: t.U.T()}
	}
	test := New(a.Cols, r)
	normal(test.Data)
	q := Orthonormal(product(false, a, test))
	for range iterations {
		q = Orthonormal(product(true, a, q))
		q = Orthonormal(product(false, a, q))
	}
	small := dense(product(true, q, a))
	small.U = product(false, q, small.U)
	return small
}

// dense returns all singular triplets of a, by LAPACK's algorithm.
func dense(a Matrix) Triplets {
	var svd mat.SVD
	if !svd.Factorize(mat.NewDense(a.Rows, a.Cols, a.Data), mat.SVDThin) {
		panic("lowrank: a singular value decomposition did not converge")
	}
	var u, v mat.Dense
	svd.UTo(&u)
	svd.VTo(&v)
	return Triplets{U: fromDense(&u), S: svd.Values(nil), V: fromDense(&v).T()}
}

func fromDense(d *mat.Dense) Matrix {
	raw := d.RawMatrix()
	return Matrix{raw.Rows, raw.Cols, raw.Data}
}

// first returns the r leading triplets of t.
func (t Triplets) first(r int) Triplets {
	u := New(t.U.Rows, r)
	for i := range u.Rows {
		copy(u.Data[i*r:(i+1)*r], t.U.Data[i*t.U.Cols:])
	}
	return Triplets{U: u, S: t.S[:r], V: Matrix{r, t.V.Cols, t.V.Data[:r*t.V.Cols]}}
}
