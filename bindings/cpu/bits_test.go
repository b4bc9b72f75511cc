package cpu

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"qlora/bindings"
	"qlora/bindings/cpu/kernels"
	"qlora/nf4"
)

// TestSameBits checks that every operation gives the same bits when run again and with
// other numbers of threads, in either type and with every family of kernels.
func TestSameBits(t *testing.T) {
	for _, compute := range computeTypes {
		all := kernels.Families()
		if testing.Short() {
			all = []kernels.Family{kernels.Best(compute)}
		}
		for _, f := range all {
			t.Run(fmt.Sprintf("%v/%s", compute, f.Info().Name), func(t *testing.T) {
				sameBits(t, Options{Kernels: f.Info().Name, Compute: compute})
			})
		}
	}
}

// computeTypes are the types that the CPU computes in.
var computeTypes = []bindings.DType{bindings.F32, bindings.BF16}

func sameBits(t *testing.T, opts Options) {
	var want []byte
	for _, threads := range []int{1, 1, 2, 4} {
		before := runtime.GOMAXPROCS(threads)
		opts.Threads = threads
		d, err := New(opts)
		if err != nil {
			t.Fatal(err)
		}
		got := everyOperation(t, d)
		runtime.GOMAXPROCS(before)
		if want == nil {
			want = got
		}
		if i := firstDifference(got, want); i >= 0 {
			t.Errorf("on %d threads, byte %d of the memory differs from the run on one", threads, i)
		}
	}
}

func firstDifference(a, b []byte) int {
	if bytes.Equal(a, b) {
		return -1
	}
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// everyOperation runs all operations on fixed random numbers and returns the resulting
// memory without scratch.
func everyOperation(t *testing.T, d *Device) []byte {
	const (
		tokens, hidden, out, rank, vocabulary = 700, 130, 300, 9, 517
		heads, dim                            = 5, 26
	)
	m := bindings.NewMemory()
	a := m.Arena(bindings.Activations)
	r := rand.New(rand.NewPCG(1, 2))
	var all []bindings.Tensor
	declare := func(dtype bindings.DType, rows, cols int) bindings.Tensor {
		x := a.New(dtype, rows, cols)
		all = append(all, x)
		return x
	}
	tensor := func(rows, cols int) bindings.Tensor { return declare(d.info.Activation, rows, cols) }
	float := func(rows, cols int) bindings.Tensor { return declare(bindings.F32, rows, cols) }
	ints := a.New(bindings.I32, 1, tokens)
	x, y, xa, dy, dx := tensor(tokens, hidden), tensor(tokens, out), tensor(tokens, rank), tensor(tokens, out), tensor(tokens, hidden)
	la, lb, da, db := tensor(rank, hidden), tensor(out, rank), float(rank, hidden), float(out, rank)
	dw, dbias, bias := float(out, hidden), float(1, out), tensor(1, out)
	q, k, v, o, lse := tensor(tokens, hidden), tensor(tokens, dim), tensor(tokens, dim), tensor(tokens, hidden), float(tokens, heads)
	dq, dk, dv := tensor(tokens, hidden), tensor(tokens, dim), tensor(tokens, dim)
	rstd, norm, dnorm := float(1, tokens), tensor(1, hidden), float(1, hidden)
	g, dg, du := tensor(tokens, out), tensor(tokens, out), tensor(tokens, out)
	stats, clip := float(1, 3), float(1, 2)
	magnitude, norms, dmagnitude := float(1, out), float(1, out), float(1, out)
	table, dtable := float(vocabulary, hidden), float(vocabulary, hidden)
	m1, v1, w8 := float(vocabulary, hidden), float(vocabulary, hidden), float(vocabulary, hidden)
	l := &bindings.Linear{
		Name: "l", Weight: bindings.Weight{
			Out: out, In: hidden,
			Quantized: bindings.NewQuantized(m.Arena(bindings.Weights4Bit), out, hidden, nf4.NF4, 64, true),
		}, Bias: bias,
		Adapter: &bindings.Adapter{A: la, B: lb, Scale: 2, Dropout: 0.1, Stream: 3},
	}
	head := &bindings.Linear{Name: "head", Weight: bindings.Weight{Out: vocabulary, In: hidden, Dense: table}}
	seq := bindings.Sequences{Starts: []int32{0, 290, 301, tokens}}

	random := bindings.Random{Train: true, Seed: 5}
	project := &bindings.Project{X: x, Random: random, Parts: []bindings.Part{{Linear: l, Y: y, XA: xa}}}
	projectBackward := &bindings.ProjectBackward{
		X: x, DX: dx, Random: random,
		Parts: []bindings.PartBackward{{Linear: l, XA: xa, DY: dy, DA: da, DB: db, DWeight: dw, DBias: dbias}},
	}
	dora := &bindings.Linear{Name: "dora", Weight: l.Weight, Adapter: &bindings.Adapter{
		A: la, B: lb, Scale: 2, Dropout: 0.1, Stream: 4, Magnitude: magnitude, Norms: norms,
	}}
	rowNorms := &bindings.RowNorms{Linear: dora}
	decomposed := &bindings.Project{X: x, Random: random, Parts: []bindings.Part{{Linear: dora, Y: y, Residual: y, XA: xa}}}
	decomposedBackward := &bindings.ProjectBackward{
		X: x, DX: dx, Random: random, Accumulate: true,
		Parts: []bindings.PartBackward{{Linear: dora, XA: xa, DY: dy, DA: da, DB: db, DMagnitude: dmagnitude}},
	}
	attend := &bindings.Attend{
		Q: q, K: k, V: v, O: o, LSE: lse, Queries: seq, Keys: seq, Heads: heads, KVHeads: 1, HeadDim: dim, Scale: 0.2,
	}
	attendBackward := &bindings.AttendBackward{Attend: *attend, DO: x, DQ: dq, DK: dk, DV: dv}
	rms := &bindings.Norm{X: x, Weight: norm, Eps: 1e-5, Y: o, RStd: rstd}
	rmsBackward := &bindings.NormBackward{Norm: *rms, DY: dq, DX: dx, Accumulate: true, DWeight: dnorm}
	activate := &bindings.Activate{G: g, U: y, Y: dy}
	activateBackward := &bindings.ActivateBackward{Activate: *activate, DY: dy, DG: dg, DU: du}
	embed := &bindings.Embed{IDs: ints, Table: table, Y: x}
	embedBackward := &bindings.EmbedBackward{IDs: ints, DY: dx, DTable: dtable, Pad: 1}
	loss := &bindings.HeadLoss{X: x, Linear: head, Labels: ints, Scale: 0.01, Stats: stats, DX: dx, DWeight: dtable}
	params := []bindings.Param{{Name: "t", Value: table, Master: table, Grad: dtable, M: bindings.Moment{Values: m1}, V: bindings.Moment{Values: v1}, Decay: true, Rate: 1}}
	gradNorm := &bindings.GradNorm{Params: params, Max: 1, Out: clip}
	adam8 := bindings.AdamW{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}
	params8 := []bindings.Param{{Name: "t8", Value: w8, Master: w8, Grad: dtable, Rate: 1}}
	params8[0].M, params8[0].V = bindings.OptimizerState{Rule: adam8, EightBit: true}.Moments(m.Arena(bindings.Optimizer), vocabulary, hidden, false)
	inEightBits := &bindings.Optimize{Params: params8, Rule: adam8, LR: 1e-3, Step: 2, Clip: clip}
	adam := &bindings.Optimize{Params: params, Rule: bindings.AdamW{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}, LR: 1e-3, WeightDecay: 0.1, Step: 2, Clip: clip}

	ops := []bindings.Operation{
		project, projectBackward, rowNorms, decomposed, decomposedBackward, attend, attendBackward, rms, rmsBackward,
		activate, activateBackward, loss, gradNorm, adam, inEightBits, embed, embedBackward,
	}
	ops = append(ops, features(tensor, float, ints, seq, vocabulary)...)
	var needs bindings.Needs
	for _, op := range ops {
		needs = needs.Most(d.Needs(op))
	}
	w := m.Arena(bindings.Workspace).New(bindings.U8, 1, int(needs.Workspace))
	logits := m.Arena(bindings.Loss).New(bindings.U8, 1, int(needs.Loss))
	if err := m.Commit(d); err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	d.UseScratch(w, logits)
	for _, x := range all {
		row := make([]float32, x.Len())
		for i := range row {
			row[i] = float32(r.NormFloat64())
		}
		narrow(x, 0, row)
	}
	for i := range f32(v1) {
		f32(v1)[i] *= f32(v1)[i]
	}
	for i := range elements[int32](ints) {
		elements[int32](ints)[i] = int32(r.IntN(vocabulary))
	}
	base := make([]byte, 4*out*hidden)
	for i := range base {
		base[i] = byte(r.Uint32()) & 0x3f
	}
	if err := d.Quantize(&l.Weight, base, bindings.F32); err != nil {
		t.Fatal(err)
	}
	for _, op := range ops {
		d.Run(op)
	}
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	var memory []byte
	for i, x := range all {
		row := make([]float32, x.Len())
		widen(row, x, 0)
		for j, v := range row {
			if v != v {
				t.Fatalf("tensor %d: element %d is NaN", i, j)
			}
		}
		memory = append(memory, bytesOf(x)...)
	}
	for _, x := range []bindings.Tensor{params8[0].M.Values, params8[0].M.Absmax, params8[0].V.Values, params8[0].V.Absmax} {
		memory = append(memory, bytesOf(x)...)
	}
	return memory
}
