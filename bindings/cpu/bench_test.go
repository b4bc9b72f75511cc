package cpu

import (
	"testing"

	"golang.org/x/sys/unix"

	"qlora/bindings"
	"qlora/nf4"
)

// The shapes of SmolLM2-135M: hidden 576, intermediate 1536, 9 heads of 64 that
// share 3 key heads, vocabulary 49152.
const (
	benchTokens, benchHidden, benchWide, benchVocabulary = 1024, 576, 1536, 49152
)

// benchmark reports GFLOP/s of an operation of the given floating-point operations (those
// of its matrix products), if it has any.
func benchmark(b *testing.B, flops float64, setup func(a *bindings.Arena) bindings.Operation) {
	d, err := New(Options{})
	if err != nil {
		b.Fatal(err)
	}
	m := bindings.NewMemory()
	op := setup(m.Arena(bindings.Activations))
	w := m.Arena(bindings.Workspace).New(bindings.U8, 1, int(d.Needs(op).Workspace)+1)
	l := m.Arena(bindings.Loss).New(bindings.U8, 1, int(d.Needs(op).Loss)+1)
	if err := m.Commit(d); err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	d.UseScratch(w, l)
	for _, o := range bindings.Operands(op) {
		if o.Tensor.DType == bindings.I32 { // ids, positions and labels
			for i := range elements[int32](o.Tensor) {
				elements[int32](o.Tensor)[i] = int32(i)
			}
		}
	}
	d.Run(op)
	b.ReportAllocs()
	before := processorTime(b)
	for b.Loop() {
		d.Run(op)
	}
	used := processorTime(b) - before
	if err := d.Sync(); err != nil {
		b.Fatal(err)
	}
	if flops > 0 {
		b.ReportMetric(flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		b.ReportMetric(flops*float64(b.N)/used/1e9, "GFLOP/cpu-s")
	}
}

// processorTime returns the CPU time of all threads in seconds, which is more reliable
// than wall time on a shared machine.
func processorTime(b *testing.B) float64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// BenchmarkSgemm measures the upper bound for Project: the same product with one call
// per thread.
func BenchmarkSgemm(b *testing.B) {
	d, err := New(Options{})
	if err != nil {
		b.Fatal(err)
	}
	x, w, y := make([]float32, benchTokens*benchHidden), make([]float32, benchWide*benchHidden), make([]float32, benchTokens*benchWide)
	share := tiles(benchTokens, d.threads)
	before := processorTime(b)
	for b.Loop() {
		d.rows(benchTokens, share, func(from, to int) {
			d.product(to-from, benchWide, benchHidden, 1, dense(x, benchHidden).row(from), dense(w, benchHidden).t(), 0, dense(y, benchWide).row(from))
		})
	}
	flops := 2.0 * benchTokens * benchHidden * benchWide * float64(b.N)
	b.ReportMetric(flops/b.Elapsed().Seconds()/1e9, "GFLOP/s")
	b.ReportMetric(flops/(processorTime(b)-before)/1e9, "GFLOP/cpu-s")
}

func benchLinear(a *bindings.Arena, rank int, dropout float32) *bindings.Linear {
	l := &bindings.Linear{Name: "up_proj", Weight: bindings.Weight{
		Out: benchWide, In: benchHidden,
		Quantized: bindings.NewQuantized(a, benchWide, benchHidden, nf4.NF4, 64, true),
	}}
	if rank > 0 {
		l.Adapter = &bindings.Adapter{A: a.New(bindings.F32, rank, benchHidden), B: a.New(bindings.F32, benchWide, rank), Scale: 2, Dropout: dropout}
	}
	return l
}

func BenchmarkProject(b *testing.B) {
	const product = 2.0 * benchTokens * benchHidden * benchWide
	random := bindings.Random{Train: true}
	for _, c := range []struct {
		name    string
		rank    int
		dropout float32
	}{{"base", 0, 0}, {"rank 16", 16, 0}, {"rank 16, dropout", 16, 0.1}} {
		thin := 2.0 * benchTokens * float64(c.rank) * (benchHidden + benchWide)
		b.Run("forward "+c.name, func(b *testing.B) {
			benchmark(b, product+thin, func(a *bindings.Arena) bindings.Operation {
				p := bindings.Part{Linear: benchLinear(a, c.rank, c.dropout), Y: a.New(bindings.F32, benchTokens, benchWide)}
				if c.rank > 0 {
					p.XA = a.New(bindings.F32, benchTokens, c.rank)
				}
				return &bindings.Project{X: a.New(bindings.F32, benchTokens, benchHidden), Parts: []bindings.Part{p}, Random: random}
			})
		})
		b.Run("backward "+c.name, func(b *testing.B) {
			benchmark(b, product+2*thin, func(a *bindings.Arena) bindings.Operation {
				p := bindings.PartBackward{Linear: benchLinear(a, c.rank, c.dropout), DY: a.New(bindings.F32, benchTokens, benchWide)}
				if c.rank > 0 {
					p.XA = a.New(bindings.F32, benchTokens, c.rank)
					p.DA, p.DB = a.New(bindings.F32, c.rank, benchHidden), a.New(bindings.F32, benchWide, c.rank)
				}
				return &bindings.ProjectBackward{
					X: a.New(bindings.F32, benchTokens, benchHidden), DX: a.New(bindings.F32, benchTokens, benchHidden),
					Parts: []bindings.PartBackward{p}, Random: random,
				}
			})
		})
	}
}

func benchAttend(a *bindings.Arena) *bindings.Attend {
	width, kv := 9*64, 3*64
	f := func(cols int) bindings.Tensor { return a.New(bindings.F32, benchTokens, cols) }
	s := bindings.Sequences{Starts: []int32{0, benchTokens}}
	return &bindings.Attend{
		Q: f(width), K: f(kv), V: f(kv), O: f(width), LSE: f(9), Queries: s, Keys: s, Heads: 9, KVHeads: 3, HeadDim: 64,
		Scale: 0.125,
	}
}

// BenchmarkAttend counts the products of the scores that are not masked: half.
func BenchmarkAttend(b *testing.B) {
	const product = 2.0 * 9 * 64 * benchTokens * benchTokens / 2
	b.Run("forward", func(b *testing.B) {
		benchmark(b, 2*product, func(a *bindings.Arena) bindings.Operation { return benchAttend(a) })
	})
	b.Run("backward", func(b *testing.B) {
		benchmark(b, 5*product, func(a *bindings.Arena) bindings.Operation {
			op := benchAttend(a)
			like := func(t bindings.Tensor) bindings.Tensor { return a.New(bindings.F32, t.Rows, t.Cols) }
			return &bindings.AttendBackward{Attend: *op, DO: like(op.O), DQ: like(op.Q), DK: like(op.K), DV: like(op.V)}
		})
	})
}

func BenchmarkHeadLoss(b *testing.B) {
	const tokens = 256
	benchmark(b, 2*2.0*tokens*benchHidden*benchVocabulary, func(a *bindings.Arena) bindings.Operation {
		l := &bindings.Linear{Name: "lm_head", Weight: bindings.Weight{
			Out: benchVocabulary, In: benchHidden,
			Dense: a.New(bindings.BF16, benchVocabulary, benchHidden),
		}}
		return &bindings.HeadLoss{
			X: a.New(bindings.F32, tokens, benchHidden), Linear: l, Labels: a.New(bindings.I32, 1, tokens), Scale: 1,
			Stats: a.New(bindings.F32, 1, 3), DX: a.New(bindings.F32, tokens, benchHidden),
		}
	})
}
