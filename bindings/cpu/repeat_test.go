package cpu

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/nf4"
)

// TestRepeat repeats attention to a cache that grows, and a product of its result. Work runs the first
// time only, results are those of operations one by one, and a later time leaves no garbage.
func TestRepeat(t *testing.T) {
	const heads, kvHeads, dim, rows = 6, 2, 16, 600
	d, err := New(Options{Threads: 2, Compute: bindings.BF16})
	require.NoError(t, err)
	defer d.Close()
	mem := bindings.NewMemory()
	a := mem.Arena(bindings.Activations)
	f := func(rows, cols int) bindings.Tensor { return a.New(bindings.BF16, rows, cols) }
	queries := bindings.Sequences{Starts: []int32{0, 0, 1, 1}, Device: a.New(bindings.I32, 1, 4), Within: 1}
	keys := bindings.Sequences{Starts: []int32{0, 5, 40, rows}, Device: a.New(bindings.I32, 1, 4), Within: rows}
	attend := &bindings.Attend{
		Q: f(1, heads*dim), K: f(rows, kvHeads*dim), V: f(rows, kvHeads*dim), O: f(1, heads*dim), Queries: queries, Keys: keys,
		Heads: heads, KVHeads: kvHeads, HeadDim: dim, Scale: 0.25,
	}
	linear := &bindings.Linear{Name: "o", Weight: bindings.Weight{Out: 128, In: heads * dim, Quantized: bindings.NewQuantized(a, 128, heads*dim, nf4.NF4, 32, true)}}
	project := &bindings.Project{X: attend.O, Parts: []bindings.Part{{Linear: linear, Y: f(1, 128)}}}
	w := mem.Arena(bindings.Workspace).New(bindings.U8, 1, int(d.Needs(attend).Most(d.Needs(project)).Workspace))
	require.NoError(t, mem.Commit(d))
	defer mem.Close()
	d.UseScratch(w, bindings.Tensor{})
	r := rand.New(rand.NewPCG(8, 1))
	for _, x := range []bindings.Tensor{attend.Q, attend.K, attend.V} {
		for i := range elements[uint16](x) {
			elements[uint16](x)[i] = 0x3e80 | uint16(r.Uint32())&0x80ff
		}
	}
	weights := make([]uint16, 128*heads*dim)
	for i := range weights {
		weights[i] = 0x3e80 | uint16(r.Uint32())&0x80ff
	}
	require.NoError(t, d.Quantize(&linear.Weight, bytesOfHalves(weights), bindings.BF16))

	calls := 0
	work := func() {
		calls++
		d.Run(attend)
		d.Run(project)
	}
	copy(elements[int32](queries.Device), queries.Starts)
	for _, end := range []int32{40, 41, 69, 70, 520, rows} {
		attend.Keys.Starts[2] = end
		copy(elements[int32](keys.Device), attend.Keys.Starts)
		d.Repeat("a token", work)
		got := slices.Clone(elements[uint16](project.Parts[0].Y))
		clear(elements[uint16](project.Parts[0].Y))
		d.Run(attend)
		d.Run(project)
		require.NoError(t, d.Sync())
		if want := elements[uint16](project.Parts[0].Y); !slices.Equal(want, got) {
			t.Errorf("%d keys: a repeated product is %x, one that is not is %x", end-5, got, want)
		}
	}
	assert.Equal(t, 1, calls, "calls of the work")
	assert.Zero(t, testing.AllocsPerRun(20, func() { d.Repeat("a token", work) }), "allocations of repeated work")

	copy(elements[int32](keys.Device), []int32{0, 5, rows + 1, rows + 1})
	d.Repeat("a token", work)
	require.ErrorContains(t, d.Sync(), "no sequence with a query")

	d.UseScratch(w, bindings.Tensor{})
	d.Repeat("a token", func() { calls++ })
	assert.Equal(t, 2, calls, "calls of the work after its scratch has moved")
	random := &bindings.Attend{Random: bindings.Random{Train: true}, Dropout: 0.5}
	assert.Nil(t, repeatable(random), "attention with dropout draws other numbers each time")
}

func bytesOfHalves(x []uint16) []byte {
	out := make([]byte, 0, 2*len(x))
	for _, v := range x {
		out = append(out, byte(v), byte(v>>8))
	}
	return out
}
