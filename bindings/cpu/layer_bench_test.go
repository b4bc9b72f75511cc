package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"qlora/bindings"
	"qlora/nf4"
)

// BenchmarkLayer measures forward and backward of one layer of SmolLM2-135M with adapters
// of rank 16 on all projections, for 1024 tokens in sequences of 256. Profile it to see
// the costs besides products.
func BenchmarkLayer(b *testing.B) {
	for _, dropout := range []float32{0, 0.1} {
		b.Run(fmt.Sprintf("dropout %g", dropout), func(b *testing.B) { benchLayer(b, dropout) })
	}
}

func benchLayer(b *testing.B, dropout float32) {
	const tokens, hidden, kv, wide, rank, dim = benchTokens, benchHidden, 192, benchWide, 16, 64
	d, err := New(Options{})
	if err != nil {
		b.Fatal(err)
	}
	m := bindings.NewMemory()
	a := m.Arena(bindings.Activations)
	f := func(rows, cols int) bindings.Tensor { return a.New(bindings.F32, rows, cols) }
	flops := 0.0
	// project returns a projection of x with separate outputs, and its backward.
	project := func(x, dx bindings.Tensor, outs ...int) (*bindings.Project, *bindings.ProjectBackward) {
		random := bindings.Random{Train: true, Seed: 1}
		forward, backward := &bindings.Project{X: x, Random: random}, &bindings.ProjectBackward{X: x, DX: dx, Random: random}
		for _, out := range outs {
			in := x.Cols
			flops += 2 * tokens * (2*float64(out)*float64(in) + 3*rank*float64(out+in))
			l := &bindings.Linear{
				Name: "l", Weight: bindings.Weight{Out: out, In: in, Quantized: bindings.NewQuantized(a, out, in, nf4.NF4, 64, true)},
				Adapter: &bindings.Adapter{A: f(rank, in), B: f(out, rank), Scale: 2, Dropout: dropout},
			}
			p := bindings.Part{Linear: l, Y: f(tokens, out), XA: f(tokens, rank)}
			forward.Parts = append(forward.Parts, p)
			backward.Parts = append(backward.Parts, bindings.PartBackward{Linear: l, XA: p.XA, DY: f(tokens, out), DA: f(rank, in), DB: f(out, rank)})
		}
		return forward, backward
	}
	x, dx := f(tokens, hidden), f(tokens, hidden)
	qkv, qkvBackward := project(x, dx, hidden, kv, kv)
	o, oBackward := project(f(tokens, hidden), f(tokens, hidden), hidden)
	up, upBackward := project(x, dx, wide, wide)
	down, downBackward := project(f(tokens, wide), f(tokens, wide), hidden)
	starts := []int32{0, 256, 512, 768, 1024}
	seq := bindings.Sequences{Starts: starts}
	attend := &bindings.Attend{
		Q: qkv.Parts[0].Y, K: qkv.Parts[1].Y, V: qkv.Parts[2].Y, O: o.X, LSE: f(tokens, 9), Queries: seq, Keys: seq,
		Heads: 9, KVHeads: 3, HeadDim: dim, Scale: 0.125,
	}
	dy := func(i int) bindings.Tensor { return qkvBackward.Parts[i].DY }
	attendBackward := &bindings.AttendBackward{Attend: *attend, DO: oBackward.DX, DQ: dy(0), DK: dy(1), DV: dy(2)}
	flops += 7 * 2 * 9 * dim * 4 * 256 * 256 / 2
	norm := &bindings.Norm{X: f(tokens, hidden), Weight: a.New(bindings.BF16, 1, hidden), Eps: 1e-5, Y: x, RStd: f(1, tokens)}
	normBackward := &bindings.NormBackward{Norm: *norm, DY: dx, DX: f(tokens, hidden)}
	activate := &bindings.Activate{G: up.Parts[0].Y, U: up.Parts[1].Y, Y: down.X}
	activateBackward := &bindings.ActivateBackward{Activate: *activate, DY: downBackward.DX, DG: upBackward.Parts[0].DY, DU: upBackward.Parts[1].DY}
	rope := func(x bindings.Tensor, heads int, inverse bool) *bindings.RoPE {
		return &bindings.RoPE{X: x, Heads: heads, HeadDim: dim, Positions: a.New(bindings.I32, 1, tokens), Cos: f(256, dim/2), Sin: f(256, dim/2), Inverse: inverse}
	}
	ops := []bindings.Operation{
		norm, qkv, rope(attend.Q, 9, false), rope(attend.K, 3, false), attend, o, norm, up, activate, down,
		downBackward, activateBackward, upBackward, normBackward, oBackward, attendBackward,
		rope(attendBackward.DQ, 9, true), rope(attendBackward.DK, 3, true), qkvBackward, normBackward,
	}
	var need bindings.Needs
	for _, op := range ops {
		need = need.Most(d.Needs(op))
	}
	w := m.Arena(bindings.Workspace).New(bindings.U8, 1, int(need.Workspace))
	if err := m.Commit(d); err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	d.UseScratch(w, bindings.Tensor{})
	r := rand.New(rand.NewPCG(1, 1))
	for _, t := range []bindings.Tensor{norm.X, oBackward.DX, downBackward.DX} {
		for i := range f32(t) {
			f32(t)[i] = float32(r.NormFloat64())
		}
	}
	step := func() {
		for _, op := range ops {
			d.Run(op)
		}
	}
	step()
	before := processorTime(b)
	for b.Loop() {
		step()
	}
	used := processorTime(b) - before
	if err := d.Sync(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
	b.ReportMetric(flops*float64(b.N)/used/1e9, "GFLOP/cpu-s")
}
