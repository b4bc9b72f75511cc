package cpu

import (
	"fmt"
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
	benchmarkIn(b, bindings.F32, flops, setup)
}

// benchmarkIn measures an operation in a type of activations.
func benchmarkIn(b *testing.B, compute bindings.DType, flops float64, setup func(a *bindings.Arena) bindings.Operation) {
	d, err := New(Options{Compute: compute})
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

func benchLinear(a *bindings.Arena, compute bindings.DType, rank int, dropout float32) *bindings.Linear {
	l := &bindings.Linear{Name: "up_proj", Weight: bindings.Weight{
		Out: benchWide, In: benchHidden,
		Quantized: bindings.NewQuantized(a, benchWide, benchHidden, nf4.NF4, 64, true),
	}}
	if rank > 0 {
		l.Adapter = &bindings.Adapter{A: a.New(compute, rank, benchHidden), B: a.New(compute, benchWide, rank), Scale: 2, Dropout: dropout}
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
		for _, compute := range []bindings.DType{bindings.F32, bindings.BF16} {
			b.Run(fmt.Sprintf("forward %s %v", c.name, compute), func(b *testing.B) {
				benchmarkIn(b, compute, product+thin, func(a *bindings.Arena) bindings.Operation {
					p := bindings.Part{Linear: benchLinear(a, compute, c.rank, c.dropout), Y: a.New(compute, benchTokens, benchWide)}
					if c.rank > 0 {
						p.XA = a.New(compute, benchTokens, c.rank)
					}
					return &bindings.Project{X: a.New(compute, benchTokens, benchHidden), Parts: []bindings.Part{p}, Random: random}
				})
			})
			b.Run(fmt.Sprintf("backward %s %v", c.name, compute), func(b *testing.B) {
				benchmarkIn(b, compute, product+2*thin, func(a *bindings.Arena) bindings.Operation {
					p := bindings.PartBackward{Linear: benchLinear(a, compute, c.rank, c.dropout), DY: a.New(compute, benchTokens, benchWide)}
					if c.rank > 0 {
						p.XA = a.New(compute, benchTokens, c.rank)
						p.DA, p.DB = a.New(bindings.F32, c.rank, benchHidden), a.New(bindings.F32, benchWide, c.rank)
					}
					return &bindings.ProjectBackward{
						X: a.New(compute, benchTokens, benchHidden), DX: a.New(compute, benchTokens, benchHidden),
						Parts: []bindings.PartBackward{p}, Random: random,
					}
				})
			})
		}
	}
}

func BenchmarkHeadLoss(b *testing.B) {
	const tokens = 256
	for _, compute := range []bindings.DType{bindings.F32, bindings.BF16} {
		b.Run(compute.String(), func(b *testing.B) {
			benchmarkIn(b, compute, 2*2.0*tokens*benchHidden*benchVocabulary, func(a *bindings.Arena) bindings.Operation {
				l := &bindings.Linear{Name: "lm_head", Weight: bindings.Weight{
					Out: benchVocabulary, In: benchHidden,
					Dense: a.New(bindings.BF16, benchVocabulary, benchHidden),
				}}
				return &bindings.HeadLoss{
					X: a.New(compute, tokens, benchHidden), Linear: l, Labels: a.New(bindings.I32, 1, tokens), Scale: 1,
					Stats: a.New(bindings.F32, 1, 3), DX: a.New(compute, tokens, benchHidden),
				}
			})
		})
	}
}
