package cpu

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
)

// TestAdamWMatchesTorch starts every step from torch's weights and holds the
// moments to torch's bits; testdata/adamw.py makes them.
func TestAdamWMatchesTorch(t *testing.T) {
	raw, err := os.ReadFile("testdata/adamw.json")
	require.NoError(t, err)
	var golden struct {
		Torch string
		Cases []struct {
			LR, Beta1, Beta2, Eps, Decay float64
			Start                        []uint32
			Steps                        []struct {
				Grad, W, M, V []uint32
				Clip          uint32
			}
		}
	}
	require.NoError(t, json.Unmarshal(raw, &golden))
	require.NotEmpty(t, golden.Cases)
	d, err := New(Options{BLAS: "gonum"})
	require.NoError(t, err)
	for i, c := range golden.Cases {
		mem := bindings.NewMemory()
		a := mem.Arena(bindings.Optimizer)
		n := len(c.Start)
		w, g, m, v, clip := a.New(bindings.F32, 1, n), a.New(bindings.F32, 1, n), a.New(bindings.F32, 1, n), a.New(bindings.F32, 1, n), a.New(bindings.F32, 1, 2)
		require.NoError(t, mem.Commit(d))
		fill(w, c.Start)
		for j, step := range c.Steps {
			before := slices.Clone(f32(w))
			fill(g, step.Grad)
			f32(clip)[1] = math.Float32frombits(step.Clip)
			d.AdamW(&bindings.AdamW{
				Params: []bindings.Param{{Name: "w", Value: w, Master: w, Grad: g, M: m, V: v, Decay: c.Decay != 0}},
				LR:     c.LR, Beta1: c.Beta1, Beta2: c.Beta2, Eps: c.Eps, WeightDecay: c.Decay, Step: j + 1, Clip: clip,
			})
			require.NoError(t, d.Sync())
			for k, want := range step.M {
				if got := f32(m)[k]; got != math.Float32frombits(want) {
					t.Errorf("case %d, step %d: m[%d]: got %v, want %v", i, j+1, k, got, math.Float32frombits(want))
				}
				if got, want := f32(v)[k], math.Float32frombits(step.V[k]); got != want {
					t.Errorf("case %d, step %d: v[%d]: got %v, want %v", i, j+1, k, got, want)
				}
				// One unit of the change for the root, one of the weight for its rounding.
				got, want := float64(f32(w)[k]), float64(math.Float32frombits(step.W[k]))
				bound := 0x1p-23 * (math.Abs(want) + 2*math.Abs(want-float64(before[k])))
				if math.Abs(got-want) > bound {
					t.Errorf("case %d, step %d: w[%d]: got %v, want %v within %.3g", i, j+1, k, got, want, bound)
				}
			}
			fill(w, step.W)
		}
		mem.Close()
	}
}

func fill(t bindings.Tensor, bits []uint32) {
	for i, b := range bits {
		f32(t)[i] = math.Float32frombits(b)
	}
}
