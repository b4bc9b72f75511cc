package cpu

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
)

// An optimizerCase is a few recorded steps of torch's or bitsandbytes' optimizer.
type optimizerCase struct {
	Rule struct {
		AdamW *bindings.AdamW
		Lion  *bindings.Lion
		SGD   *bindings.SGD
	}
	LR, Decay float64
	Apart     bool // the first moment differs by rounding
	Start     []byte
	Steps     []optimizerStep
}

// Arrays are little-endian float32, except 8-bit moments, which have an absmax.
type optimizerStep struct {
	Grad, Clip, W, M, V []byte
	MAbsmax             []byte `json:"m_absmax"`
	VAbsmax             []byte `json:"v_absmax"`
}

func (c *optimizerCase) rule() bindings.Rule {
	switch {
	case c.Rule.AdamW != nil:
		return *c.Rule.AdamW
	case c.Rule.Lion != nil:
		return *c.Rule.Lion
	}
	return *c.Rule.SGD
}

// TestOptimizeMatchesTorchAndBitsandbytes starts every step from recorded weights
// (testdata/optimize.py) and checks the moments' bits and codes.
func TestOptimizeMatchesTorchAndBitsandbytes(t *testing.T) {
	raw, err := os.ReadFile("testdata/optimize.json")
	require.NoError(t, err)
	var golden struct{ Cases []optimizerCase }
	require.NoError(t, json.Unmarshal(raw, &golden))
	require.NotEmpty(t, golden.Cases)
	d, err := New(Options{Kernels: "gonum"})
	require.NoError(t, err)
	for i, c := range golden.Cases {
		t.Run(fmt.Sprintf("%d %T%+v", i, c.rule(), c.rule()), func(t *testing.T) { c.replay(t, d) })
	}
}

func (c *optimizerCase) replay(t *testing.T, d *Device) {
	mem := bindings.NewMemory()
	a := mem.Arena(bindings.Optimizer)
	n := len(c.Start) / 4
	w, g, clip := a.New(bindings.F32, 1, n), a.New(bindings.F32, 1, n), a.New(bindings.F32, 1, 2)
	p := bindings.Param{Name: "w", Value: w, Master: w, Grad: g, Decay: true, Rate: 1}
	state := bindings.OptimizerState{Rule: c.rule(), EightBit: c.Steps[0].MAbsmax != nil}
	p.M, p.V = state.Moments(a, 1, n, false)
	require.NoError(t, mem.Commit(d))
	defer mem.Close()
	copy(bytesOf(w), c.Start)
	for i, step := range c.Steps {
		before := slices.Clone(f32(w))
		copy(bytesOf(g), step.Grad)
		copy(bytesOf(clip)[4:], step.Clip)
		d.Run(&bindings.Optimize{
			Params: []bindings.Param{p}, Rule: c.rule(), LR: c.LR, WeightDecay: c.Decay, Step: i + 1, Clip: clip,
		})
		require.NoError(t, d.Sync())
		for _, kept := range []struct {
			name string
			got  bindings.Tensor
			want []byte
		}{
			{"m", p.M.Values, step.M},
			{"the absmax of m", p.M.Absmax, step.MAbsmax},
			{"v", p.V.Values, step.V},
			{"the absmax of v", p.V.Absmax, step.VAbsmax},
		} {
			switch {
			case kept.got.Absent():
				require.Empty(t, kept.want, kept.name)
			case c.Apart && kept.name == "m":
				for k, got := range f32(kept.got) {
					want := float32At(kept.want, k)
					require.InDelta(t, want, got, 0x1p-22*math.Abs(want)+0x1p-24*math.Abs(float32At(step.Grad, k)), "step %d: m[%d]", i+1, k)
				}
				copy(bytesOf(kept.got), kept.want)
			default:
				if at := firstDifference(bytesOf(kept.got), kept.want); at >= 0 {
					t.Errorf("step %d: %s differs at byte %d of %d", i+1, kept.name, at, len(kept.want))
				}
			}
		}
		for k := range before {
			got := float64(f32(w)[k])
			want := float32At(step.W, k)
			// One unit of the change for the square root, one of the weight for its rounding.
			bound := 0x1p-23 * (math.Abs(want) + 2*math.Abs(want-float64(before[k])))
			if math.Abs(got-want) > bound {
				t.Errorf("step %d: w[%d]: got %v, want %v within %.3g", i+1, k, got, want, bound)
			}
		}
		if _, adam := c.rule().(bindings.AdamW); !adam && !bytes.Equal(bytesOf(w), step.W) {
			t.Errorf("step %d: the weights' bits differ, but this rule has no square root", i+1)
		}
		copy(bytesOf(w), step.W)
	}
}

func float32At(raw []byte, i int) float64 {
	return float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])))
}
