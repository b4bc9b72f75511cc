package cpu

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cpu/kernels"
	"qlora/nf4"
)

// TestMoreTokensNeedNoLess checks what plans rely on: an operation on fewer tokens fits in
// the scratch of one on more.
func TestMoreTokensNeedNoLess(t *testing.T) {
	const out, in, rank, heads, dim, vocabulary = 96, 80, 6, 4, 20, 300
	a := bindings.NewMemory().Arena(bindings.Activations)
	for _, compute := range computeTypes {
		for _, f := range kernels.Families() {
			for _, threads := range []int{1, 2, 5} {
				d, err := New(Options{Kernels: f.Info().Name, Compute: compute, Threads: threads})
				require.NoError(t, err)
				tensor := func(rows, cols int) bindings.Tensor { return a.New(compute, rows, cols) }
				float := func(rows, cols int) bindings.Tensor { return a.New(bindings.F32, rows, cols) }
				adapter := &bindings.Adapter{A: tensor(rank, in), B: tensor(out, rank), Scale: 1, Dropout: 0.1, Magnitude: float(1, out), Norms: float(1, out)}
				l := &bindings.Linear{Name: "l", Adapter: adapter, Weight: bindings.Weight{Out: out, In: in, Quantized: bindings.NewQuantized(a, out, in, nf4.NF4, 64, true)}}
				head := &bindings.Linear{Name: "head", Weight: bindings.Weight{Out: vocabulary, In: in, Dense: tensor(vocabulary, in)}}
				operations := func(n int) []bindings.Operation {
					x, y, xa, q, k := tensor(n, in), tensor(n, out), tensor(n, rank), tensor(n, heads*dim), tensor(n, dim)
					random := bindings.Random{Train: true}
					starts := bindings.Sequences{Starts: []int32{0, int32(n)}}
					attend := bindings.Attend{Q: q, K: k, V: k, O: q, LSE: float(n, heads), Queries: starts, Keys: starts, Heads: heads, KVHeads: 1, HeadDim: dim}
					return []bindings.Operation{
						&bindings.Project{X: x, Random: random, Parts: []bindings.Part{{Linear: l, Y: y, XA: xa}}},
						&bindings.ProjectBackward{X: x, DX: x, Random: random, Parts: []bindings.PartBackward{{Linear: l, DY: y, XA: xa, DA: float(rank, in), DB: float(out, rank), DMagnitude: float(1, out)}}},
						&bindings.HeadLoss{X: x, Linear: head, Labels: a.New(bindings.I32, 1, n), Stats: float(1, 3), DX: x, DWeight: float(vocabulary, in)},
						&attend, &bindings.AttendBackward{Attend: attend, DO: q, DQ: q, DK: k, DV: k},
					}
				}
				var before []bindings.Needs
				for n := 1; n < 1600; n += 1 + n/16 {
					for i, op := range operations(n) {
						need := d.Needs(op)
						if i == len(before) {
							before = append(before, need)
						}
						assert.Equal(t, need, need.Most(before[i]), "%s of %d tokens, %v, %s, %d threads", op.Name(), n, compute, f.Info().Name, threads)
						before[i] = need.Most(before[i])
					}
				}
				require.NoError(t, d.Close())
			}
		}
	}
}
