package cuda

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/internal/halffloat"
	"qlora/nf4"
)

// TestWholeWeightsHaveTheBitsOfParts computes gate and up, and the gradient of their input, with copies of the whole
// weights and of parts of 128 rows or columns: fewer launches, the same bits, and what is planned is taken.
func TestWholeWeightsHaveTheBitsOfParts(t *testing.T) {
	d := openEmulator(t)
	d.SetDecoded(1)
	const tokens, out, in = 288, 192, 320
	rng := rand.New(rand.NewPCG(5, 6))
	m := bindings.NewMemory()
	a := m.Arena(bindings.Activations)
	dense := func(rows, cols int) bindings.Tensor { return a.New(bindings.BF16, rows, cols) }
	x, dx := dense(tokens, in), dense(tokens, in)
	forward, backward := &bindings.Project{X: x}, &bindings.ProjectBackward{X: x, DX: dx}
	var results, filled []bindings.Tensor
	for range 2 {
		l := &bindings.Linear{Weight: bindings.Weight{Out: out, In: in, Quantized: bindings.NewQuantized(a, out, in, nf4.NF4, 64, true)}}
		y, dy := dense(tokens, out), dense(tokens, out)
		forward.Parts = append(forward.Parts, bindings.Part{Linear: l, Y: y})
		backward.Parts = append(backward.Parts, bindings.PartBackward{Linear: l, DY: dy})
		results, filled = append(results, y), append(filled, dy)
	}
	results, filled = append(results, dx), append(filled, x)
	needs := func() bindings.Needs { return d.Needs(forward).Most(d.Needs(backward)) }
	parts := needs()
	forward.Whole, backward.Whole = true, true
	whole := needs()
	require.Greater(t, whole.Workspace, parts.Workspace)
	scratch := m.Arena(bindings.Workspace).New(bindings.U8, 1, int(whole.Workspace))
	require.NoError(t, m.Commit(d))
	t.Cleanup(m.Close)

	for _, p := range filled {
		values := make([]float32, p.Len())
		for i := range values {
			values[i] = float32(rng.NormFloat64())
		}
		bits := make([]uint16, len(values))
		halffloat.Float32ToBF16(bits, values)
		require.NoError(t, d.Write(p, unsafe.Slice((*byte)(unsafe.Pointer(&bits[0])), 2*len(bits))))
	}
	for i := range forward.Parts {
		values := make([]float32, out*in)
		for j := range values {
			values[j] = float32(rng.NormFloat64() / math.Sqrt(in))
		}
		require.NoError(t, d.Quantize(&forward.Parts[i].Linear.Weight, floats(values), bindings.F32))
	}
	run := func(allowed bool, workspace int64) (bits [][]byte, decodes int64) {
		d.UseScratch(scratch.Reshape(1, scratch.Len()).Columns(0, int(workspace)), bindings.Tensor{})
		forward.Whole, backward.Whole = allowed, allowed
		before := launches(t, d, "decode")
		d.Run(forward)
		d.Run(backward)
		require.NoError(t, d.Sync())
		for _, r := range results {
			b := make([]byte, r.Bytes())
			require.NoError(t, d.Read(b, r))
			bits = append(bits, b)
		}
		return bits, launches(t, d, "decode") - before
	}
	want, many := run(false, parts.Workspace)
	got, few := run(true, whole.Workspace)
	require.EqualValues(t, 3+3, many, "decodes of 384 rows and of 320 columns")
	require.EqualValues(t, 1+1, few, "decodes of whole weights")
	require.Equal(t, want, got)
}
