package cpu

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/bindings"
)

// TestAttendBackwardOrders checks that both ways to divide the backward of attention give
// the same bits.
func TestAttendBackwardOrders(t *testing.T) {
	for _, dtype := range []bindings.DType{bindings.F32, bindings.BF16} {
		for _, c := range []struct{ tokens, heads, kvHeads, dim, window int }{
			{700, 6, 2, 24, 0}, {300, 5, 1, 64, 90}, {65, 2, 2, 80, 0},
		} {
			var want []byte
			for _, threads := range []int{1, 64} {
				d, err := New(Options{Threads: threads})
				require.NoError(t, err)
				got, atOnce := attendBits(t, d, dtype, c.tokens, c.heads, c.kvHeads, c.dim, c.window)
				assert.Equal(t, threads == 1, atOnce, "%v %+v on %d threads", dtype, c, threads)
				if want == nil {
					want = got
				}
				if i := firstDifference(got, want); i >= 0 {
					t.Errorf("%v %+v: byte %d of the gradients differs on %d threads", dtype, c, i, threads)
				}
			}
		}
	}
}

// attendBits returns the gradients of random operands, and whether they were computed at once.
func attendBits(t *testing.T, d *Device, dtype bindings.DType, tokens, heads, kvHeads, dim, window int) ([]byte, bool) {
	m := bindings.NewMemory()
	a := m.Arena(bindings.Activations)
	f := func(heads int) bindings.Tensor { return a.New(dtype, tokens, heads*dim) }
	seq := bindings.Sequences{Starts: []int32{0, int32(tokens)}}
	op := &bindings.AttendBackward{
		Attend: bindings.Attend{
			Q: f(heads), K: f(kvHeads), V: f(kvHeads), O: f(heads), LSE: a.New(bindings.F32, tokens, heads),
			Queries: seq, Keys: seq, Heads: heads, KVHeads: kvHeads, HeadDim: dim, Scale: 0.2, Window: window,
		},
		DO: f(heads), DQ: f(heads), DK: f(kvHeads), DV: f(kvHeads),
	}
	needs := d.Needs(&op.Attend).Most(d.Needs(op))
	w := m.Arena(bindings.Workspace).New(bindings.U8, 1, int(needs.Workspace))
	require.NoError(t, m.Commit(d))
	defer m.Close()
	d.UseScratch(w, bindings.Tensor{})
	r := rand.New(rand.NewPCG(4, uint64(tokens)))
	for _, x := range []bindings.Tensor{op.Q, op.K, op.V, op.DO} {
		bytes := bytesOf(x)
		for i := range bytes {
			bytes[i] = byte(r.Uint32())
			if i%int(dtype.Size()) == int(dtype.Size())-1 {
				bytes[i] = 0x3e | bytes[i]&0x81 // magnitudes from 1/8 to 2
			}
		}
	}
	d.Run(&op.Attend)
	d.Run(op)
	require.NoError(t, d.Sync())
	var out []byte
	for _, x := range []bindings.Tensor{op.DQ, op.DK, op.DV} {
		out = append(out, bytesOf(x)...)
	}
	return out, gradientOf(&d.profile, op).atOnce
}
