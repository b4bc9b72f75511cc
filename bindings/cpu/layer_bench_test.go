package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"qlora/bindings"
	"qlora/nf4"
)

// BenchmarkLayer is forward and backward of one layer of SmolLM2-135M with
// adapters of rank 16 on all projections: 1024 tokens in sequences of 256.
// Profile it to see what is not Sgemm.
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
	part := func(out, in int) bindings.Part {
		flops += 2 * tokens * (2*float64(out)*float64(in) + 3*rank*float64(out+in))
		return bindings.Part{
			Linear: &bindings.Linear{
				Name: "l", Weight: bindings.Weight{Out: out, In: in, Quantized: bindings.NewQuantized(a, out, in, nf4.NF4, 64, true)},
				Adapter: &bindings.Adapter{A: f(rank, in), B: f(out, rank), Scale: 2, Dropout: dropout},
			},
			Y: f(tokens, out), DY: f(tokens, out), Low: f(tokens, rank), DA: f(rank, in), DB: f(out, rank),
		}
	}
	x, dx := f(tokens, hidden), f(tokens, hidden)
	random := bindings.Random{Train: true, Seed: 1}
	qkv := &bindings.Project{X: x, DX: dx, Random: random, Parts: []bindings.Part{part(hidden, hidden), part(kv, hidden), part(kv, hidden)}}
	o := &bindings.Project{X: f(tokens, hidden), DX: f(tokens, hidden), Random: random, Parts: []bindings.Part{part(hidden, hidden)}}
	up := &bindings.Project{X: x, DX: dx, Random: random, Parts: []bindings.Part{part(wide, hidden), part(wide, hidden)}}
	down := &bindings.Project{X: f(tokens, wide), DX: f(tokens, wide), Random: random, Parts: []bindings.Part{part(hidden, wide)}}
	starts := []int32{0, 256, 512, 768, 1024}
	seq := bindings.Sequences{Starts: starts}
	attend := &bindings.Attend{
		Q: qkv.Parts[0].Y, K: qkv.Parts[1].Y, V: qkv.Parts[2].Y, O: o.X, LSE: f(tokens, 9), Queries: seq, Keys: seq,
		Heads: 9, KVHeads: 3, HeadDim: dim, Scale: 0.125, DO: o.DX, DQ: qkv.Parts[0].DY, DK: qkv.Parts[1].DY, DV: qkv.Parts[2].DY,
	}
	flops += 7 * 2 * 9 * dim * 4 * 256 * 256 / 2
	norm := &bindings.Norm{X: f(tokens, hidden), Weight: a.New(bindings.BF16, 1, hidden), Eps: 1e-5, Y: x, InvRMS: f(1, tokens), DY: dx, DX: f(tokens, hidden)}
	gate := &bindings.Gate{G: up.Parts[0].Y, U: up.Parts[1].Y, Y: down.X, DY: down.DX, DG: up.Parts[0].DY, DU: up.Parts[1].DY}
	rotate := func(x bindings.Tensor, heads int, inverse bool) *bindings.Rotate {
		return &bindings.Rotate{X: x, Heads: heads, HeadDim: dim, Positions: a.New(bindings.I32, 1, tokens), Cos: f(256, dim/2), Sin: f(256, dim/2), Inverse: inverse}
	}
	q, k, dq, dk := rotate(attend.Q, 9, false), rotate(attend.K, 3, false), rotate(attend.DQ, 9, true), rotate(attend.DK, 3, true)
	var need int64
	for _, op := range []any{qkv, o, up, down, attend, norm} {
		need = max(need, d.Scratch(op))
	}
	w := m.Arena(bindings.Workspace).New(bindings.U8, 1, int(need))
	if err := m.Commit(d); err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	d.UseScratch(w, bindings.Tensor{})
	r := rand.New(rand.NewPCG(1, 1))
	for _, t := range []bindings.Tensor{norm.X, o.DX, down.DX} {
		for i := range f32(t) {
			f32(t)[i] = float32(r.NormFloat64())
		}
	}
	step := func() {
		d.Norm(norm)
		d.Project(qkv)
		d.Rotate(q)
		d.Rotate(k)
		d.Attend(attend)
		d.Project(o)
		d.Norm(norm)
		d.Project(up)
		d.Gate(gate)
		d.Project(down)
		d.ProjectBackward(down)
		d.GateBackward(gate)
		d.ProjectBackward(up)
		d.NormBackward(norm)
		d.ProjectBackward(o)
		d.AttendBackward(attend)
		d.Rotate(dq)
		d.Rotate(dk)
		d.ProjectBackward(qkv)
		d.NormBackward(norm)
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
