package conformance

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"testing"

	"qlora/bindings"
)

// foldSizes are lists of parameters' sizes: odd places among the sums, and pieces of any
// device with remainders.
var foldSizes = [][]int{{1}, {67, 1, 131}, {16_384, 3, 100_003}}

// runFold holds fixed point to the bit: every result has one correct rounding.
func runFold(t *testing.T, s *suite) {
	for _, sizes := range foldSizes {
		s.row(t, fmt.Sprintf("fold %v", sizes), func(f *fixture) { foldRow(f, sizes, nil) })
		s.row(t, fmt.Sprintf("unfold %v", sizes), func(f *fixture) { unfoldRow(f, sizes, 0) })
		s.row(t, fmt.Sprintf("round %v", sizes), func(f *fixture) { roundRow(f, sizes, nil) })
	}
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 512, -512, 1e30} {
		s.row(t, fmt.Sprintf("fold refuses %g", x), func(f *fixture) { foldRow(f, []int{5, 300}, &x) })
		s.row(t, fmt.Sprintf("round refuses %g", x), func(f *fixture) { roundRow(f, []int{5, 300}, &x) })
	}
	for _, mark := range []int64{1, 3} {
		s.row(t, fmt.Sprintf("unfold mark %d", mark), func(f *fixture) { unfoldRow(f, []int{5, 300}, mark) })
	}
}

// foldTerms is the number of gradients that the rows' limit allows for.
const foldTerms = 1024

// foldGradients declares gradients of all sizes from far below a step to the limit, with
// ties, zeros of both signs and the largest float32 below the limit.
func foldGradients(f *fixture, sizes []int, refused *float64) (params []bindings.Param, of []*operand) {
	limit := float64(bindings.FoldLimit(foldTerms))
	special := []float64{
		0x1p-45, 0x1.8p-44, 0x1.4p-43, -0x1p-45, -0x1.8p-44, 0x1.fffffep-46, 0, math.Copysign(0, -1),
		limit * (1 - 0x1p-24), -limit * (1 - 0x1p-24), 0x1p-149, 0x1.fffffep-22, -0x1.fffffep-23,
	}
	for i, n := range sizes {
		x := make([]float64, n)
		for j := range x {
			x[j] = math.Ldexp(f.rng.NormFloat64(), f.rng.IntN(50)-46)
			if j < len(special) && n > 1 {
				x[j] = special[j]
			}
		}
		if refused != nil && i == len(sizes)-1 {
			x[n/2] = *refused
		}
		g := f.given(fmt.Sprintf("w%d Grad", i), bindings.F32, 1, n, x)
		of = append(of, g)
		params = append(params, bindings.Param{Name: fmt.Sprintf("w%d", i), Grad: g.Tensor})
	}
	return params, of
}

// steps returns x in whole steps, as Fold rounds it.
func steps(x float64) int64 { return int64(math.RoundToEven(x * 0x1p44)) }

// fromSteps returns a number of steps as the nearest float32.
func fromSteps(s int64) float32 {
	x := new(big.Float).SetPrec(64).SetInt64(s)
	nearest, _ := x.SetMantExp(x, -bindings.FixedPoint).Float32()
	return nearest
}

func foldRow(f *fixture, sizes []int, refused *float64) {
	params, grads := foldGradients(f, sizes, refused)
	start := f.sums(params, 0)
	sums := f.longs("Sums", start)
	op := &bindings.Fold{Params: params, Sums: sums.Tensor, Limit: bindings.FoldLimit(foldTerms)}
	f.run([]bindings.Operation{op}, append(grads, sums)...)
	got, at := sums.raw(), 0
	check := func(want int64) {
		if have := int64(binary.LittleEndian.Uint64(got[8*at:])); have != want {
			f.t.Errorf("Sums[%d]: got %d, want %d", at, have, want)
		}
		at++
	}
	for _, g := range grads {
		for _, x := range g.values {
			if math.Abs(x) < float64(op.Limit) {
				check(start[at] + steps(x))
			} else {
				check(start[at])
			}
		}
		for i, x := range decode(bindings.F32, g.raw()) {
			if math.Float64bits(x) != 0 {
				f.t.Errorf("%s[%d]: got %g, want 0", g.name, i, x)
			}
		}
	}
	mark := int64(0)
	if refused != nil {
		mark = 1
	}
	check(mark)
}

// sums returns random sums of any size, and a mark.
func (f *fixture) sums(params []bindings.Param, mark int64) []int64 {
	x := make([]int64, bindings.SumsLen(params))
	for i := range x {
		x[i] = int64(f.rng.Uint64()) >> (1 + f.rng.IntN(62))
	}
	x[len(x)-1] = mark
	return x
}

func unfoldRow(f *fixture, sizes []int, mark int64) {
	var params []bindings.Param
	var grads []*operand
	for i, n := range sizes {
		g := f.output(fmt.Sprintf("w%d Grad", i), bindings.F32, 1, n)
		grads = append(grads, g)
		params = append(params, bindings.Param{Name: g.name, Grad: g.Tensor})
	}
	start := f.sums(params, mark)
	sums := f.longs("Sums", start)
	f.run([]bindings.Operation{&bindings.Unfold{Params: params, Sums: sums.Tensor}})
	at := 0
	for _, g := range grads {
		for i, x := range decode(bindings.F32, g.raw()) {
			if want := fromSteps(start[at]); mark == 0 && x != float64(want) || mark != 0 && !math.IsNaN(x) {
				f.t.Errorf("%s[%d]: got %g of %d steps, want %g (mark %d)", g.name, i, x, start[at], want, mark)
			}
			at++
		}
	}
}

func roundRow(f *fixture, sizes []int, refused *float64) {
	params, grads := foldGradients(f, sizes, refused)
	op := &bindings.Round{Params: params, Limit: bindings.FoldLimit(foldTerms)}
	f.run([]bindings.Operation{op}, grads...)
	for _, g := range grads {
		for i, got := range decode(bindings.F32, g.raw()) {
			x := g.values[i]
			small := math.Abs(x) < float64(op.Limit)
			if want := float64(fromSteps(steps(x))); small && got != want || !small && !math.IsNaN(got) {
				f.t.Errorf("%s[%d]: got %g of %g, want %g", g.name, i, got, x, want)
			}
		}
	}
}
