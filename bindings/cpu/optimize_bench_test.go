package cpu

import (
	"testing"

	"qlora/bindings"
)

// BenchmarkOptimize measures a step of each optimizer on a matrix of 8 million
// parameters, and reports its state in bytes per parameter.
func BenchmarkOptimize(b *testing.B) {
	adamw, lion := bindings.AdamW{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}, bindings.Lion{Beta1: 0.9, Beta2: 0.99}
	for _, c := range []struct {
		name  string
		state bindings.OptimizerState
	}{
		{"sgd", bindings.OptimizerState{Rule: bindings.SGD{}}},
		{"sgd with momentum", bindings.OptimizerState{Rule: bindings.SGD{Momentum: 0.9}}},
		{"lion_32bit", bindings.OptimizerState{Rule: lion}},
		{"lion_8bit", bindings.OptimizerState{Rule: lion, EightBit: true}},
		{"adamw_torch", bindings.OptimizerState{Rule: adamw}},
		{"adamw_8bit", bindings.OptimizerState{Rule: adamw, EightBit: true}},
	} {
		b.Run(c.name, func(b *testing.B) { benchmarkOptimizer(b, c.state) })
	}
}

func benchmarkOptimizer(b *testing.B, state bindings.OptimizerState) {
	const rows, cols = 2048, 4096
	d, err := New(Options{})
	if err != nil {
		b.Fatal(err)
	}
	mem := bindings.NewMemory()
	a := mem.Arena(bindings.Adapters)
	w, g, clip := a.New(bindings.F32, rows, cols), a.New(bindings.F32, rows, cols), a.New(bindings.F32, 1, 2)
	p := bindings.Param{Name: "w", Value: w, Master: w, Grad: g, Decay: true, Rate: 1}
	p.M, p.V = state.Moments(mem.Arena(bindings.Optimizer), rows, cols, false)
	if err := mem.Commit(d); err != nil {
		b.Fatal(err)
	}
	defer mem.Close()
	for i := range f32(g) {
		f32(w)[i], f32(g)[i] = float32(i%101)/50-1, float32(i%997)/500-1
	}
	f32(clip)[1] = 0.5
	op := &bindings.Optimize{Params: []bindings.Param{p}, Rule: state.Rule, LR: 1e-4, WeightDecay: 0.01, Clip: clip}
	// The weight and the moments are read and written, the gradient is read.
	b.SetBytes(3*4*rows*cols + 2*mem.Plan()[bindings.Optimizer])
	b.ReportAllocs()
	before := processorTime(b)
	for b.Loop() {
		op.Step++
		d.Run(op)
	}
	used := processorTime(b) - before
	if err := d.Sync(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(rows*cols*b.N)/b.Elapsed().Seconds()/1e6, "Mparam/s")
	b.ReportMetric(float64(rows*cols*b.N)/used/1e6, "Mparam/cpu-s")
	b.ReportMetric(float64(mem.Plan()[bindings.Optimizer])/(rows*cols), "B/param")
}
