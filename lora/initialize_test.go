package lora

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/internal/lowrank"
)

func TestInit(t *testing.T) {
	const r = 500 // enough numbers for their moments
	for _, c := range []struct {
		init       Initialization
		uniformA   bool
		deviationA float64 // for in = 16
		boundB     float64
	}{
		{init: InitDefault, uniformA: true, deviationA: 0.25 / math.Sqrt(3)},
		{init: InitGaussian, deviationA: 1.0 / r},
		{init: InitRandom, uniformA: true, deviationA: 0.25 / math.Sqrt(3), boundB: 1 / math.Sqrt(r)},
	} {
		t.Run(string(c.init), func(t *testing.T) {
			a, mem, dev := newAdapters(t, bindings.F32, Config{R: r, Alpha: 1, Init: c.init})
			require.NoError(t, mem.Commit(dev))
			require.NoError(t, a.Init(dev, 42))
			seen := map[float32]bool{}
			for _, f := range a.factors {
				x := values(t, dev, f.value)
				if f.isB {
					checkUniform(t, f.name, x, c.boundB)
				} else if f.value.Cols == 16 {
					var squares float64
					for _, v := range x {
						squares += float64(v) * float64(v)
					}
					assert.InEpsilon(t, c.deviationA, math.Sqrt(squares/float64(len(x))), 0.05, f.name)
				}
				if !f.isB && c.uniformA {
					checkUniform(t, f.name, x, 1/math.Sqrt(float64(f.value.Cols)))
				}
				if x[0] != 0 {
					assert.False(t, seen[x[0]], "%s starts like another tensor", f.name)
					seen[x[0]] = true
				}
			}
		})
	}
}

// checkUniform requires x to fill the range from -bound to bound.
func checkUniform(t *testing.T, name string, x []float32, bound float64) {
	t.Helper()
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range x {
		low, high = min(low, float64(v)), max(high, float64(v))
	}
	assert.InDelta(t, -bound, low, 0.01*bound, name)
	assert.InDelta(t, bound, high, 0.01*bound, name)
	assert.LessOrEqual(t, max(-low, high), bound, name)
}

func TestInitIsAFunctionOfTheSeed(t *testing.T) {
	first := func(seed uint64) []float32 {
		a, mem, dev := newAdapters(t, bindings.F32, Config{R: 2, Alpha: 1, Init: InitDefault})
		require.NoError(t, mem.Commit(dev))
		require.NoError(t, a.Init(dev, seed))
		return values(t, dev, a.factors[0].value)
	}
	assert.Equal(t, first(1), first(1))
	assert.NotEqual(t, first(1), first(2))
}

// TestOrthogonal requires the properties of PEFT's orthogonal_init: B·A is zero, and
// the elements of A and of B have variance 1/200.
func TestOrthogonal(t *testing.T) {
	const r = 40
	a, mem, dev := newAdapters(t, bindings.F32, Config{R: r, Alpha: 1, Init: InitOrthogonal})
	require.NoError(t, mem.Commit(dev))
	require.NoError(t, a.Init(dev, 42))
	seen := map[float32]bool{}
	for i := 0; i < len(a.factors); i += 2 {
		first, second := values(t, dev, a.factors[i].value), values(t, dev, a.factors[i+1].value)
		in, out := len(first)/r, len(second)/r
		product := lowrank.New(out, in)
		product.MulAdd(1, matrix(second, out, r), matrix(first, r, in))
		for _, x := range product.Data {
			require.InDelta(t, 0, x, 1e-7, a.factors[i].name)
		}
		for _, x := range [][]float32{first, second} {
			squares := 0.0
			for _, v := range x {
				squares += float64(v) * float64(v)
			}
			require.InEpsilon(t, 0.005, squares/float64(len(x)), 0.4)
			require.False(t, seen[x[0]])
			seen[x[0]] = true
		}
	}
}

func TestInitRefusesWhatItCannotCompute(t *testing.T) {
	a, mem, dev := newAdapters(t, bindings.F32, Config{R: 2, Alpha: 1, Init: "eva"})
	require.NoError(t, mem.Commit(dev))
	assert.ErrorContains(t, a.Init(dev, 1), `"eva"`)
}
