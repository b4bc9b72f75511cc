package conformance

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"testing"

	"qlora/bindings"
	"qlora/internal/dynamic8"
)

func runOptimize(t *testing.T, s *suite) {
	adamw := bindings.AdamW{Beta1: 0.9, Beta2: 0.95, Eps: 1e-8}
	lion := bindings.Lion{Beta1: 0.9, Beta2: 0.99}
	momentum := bindings.SGD{Momentum: 0.9, Dampening: 0.1}
	ragged := []int{1, 67, 255, 256, 257, 1300}
	for _, c := range []optimizeCase{
		{rule: adamw, sizes: []int{1}, step: 1, clip: 1, decay: true, rate: 1},
		{rule: adamw, sizes: ragged, step: 2, value: bindings.BF16, clip: 0.5, decay: true, rate: 1},
		{rule: adamw, sizes: []int{40_003, 3}, step: 1000, clip: 0.3, rate: 1},
		{rule: adamw, sizes: []int{131}, step: 7, value: bindings.F16, clip: 1, rate: 16},
		{rule: adamw, sizes: []int{67}, step: 1, clip: math.NaN(), decay: true, rate: 1},
		{rule: adamw, sizes: []int{67}, step: 3, value: bindings.BF16, clip: math.Inf(1), decay: true, rate: 1},
		{rule: adamw, sizes: ragged, step: 3, eightBit: true, clip: 0.5, decay: true, rate: 2},
		{rule: adamw, sizes: []int{40_003}, step: 1, eightBit: true, value: bindings.BF16, clip: 1, rate: 1},
		{rule: adamw, sizes: []int{300}, step: 3, eightBit: true, clip: math.NaN(), rate: 1},
		{rule: lion, sizes: ragged, step: 1, value: bindings.BF16, clip: 0.5, decay: true, rate: 2},
		{rule: lion, sizes: []int{40_003}, step: 5, clip: 1, rate: 1},
		{rule: lion, sizes: ragged, step: 2, eightBit: true, clip: 0.5, decay: true, rate: 1},
		{rule: lion, sizes: []int{300}, step: 2, eightBit: true, clip: math.Inf(-1), decay: true, rate: 1},
		{rule: bindings.SGD{}, sizes: ragged, step: 1, value: bindings.BF16, clip: 0.5, decay: true, rate: 2},
		{rule: momentum, sizes: ragged, step: 1, clip: 0.5, decay: true, rate: 1},
		{rule: momentum, sizes: []int{40_003}, step: 2, clip: 1, rate: 1},
		{rule: bindings.SGD{Momentum: 0.9, Nesterov: true}, sizes: ragged, step: 2, value: bindings.F16, clip: 0.5, decay: true, rate: 1},
		{rule: momentum, sizes: []int{67}, step: 2, clip: math.NaN(), rate: 1},
	} {
		s.row(t, fmt.Sprintf("%T%+v", c.rule, c), func(f *fixture) { c.run(f) })
	}
}

type optimizeCase struct {
	rule     bindings.Rule
	sizes    []int // elements of the parameters, updated by one operation
	step     int
	eightBit bool
	value    bindings.DType
	clip     float64
	decay    bool
	rate     float64
}

func (c optimizeCase) run(f *fixture) {
	op := &bindings.Optimize{Rule: c.rule, LR: 0.01, WeightDecay: 0.1, Step: c.step}
	clip := f.given("Clip", bindings.F32, 1, 2, []float64{3, c.clip})
	op.Clip = clip.Tensor
	var all []*optimized
	var overwritten []*operand
	for i, n := range c.sizes {
		o := c.parameter(f, fmt.Sprintf("w%d ", i), n)
		all = append(all, o)
		op.Params = append(op.Params, o.param)
		overwritten = append(overwritten, o.operands()...)
	}
	finite := !math.IsNaN(c.clip) && !math.IsInf(c.clip, 0)
	if !finite {
		overwritten = nil // nothing may change
	}
	f.run([]bindings.Operation{op}, overwritten...)
	if !finite {
		return
	}
	for _, o := range all {
		o.compare(op, clip.values[1])
	}
}

// An optimized is a parameter with its values before the step.
type optimized struct {
	param          bindings.Param
	master, value  *operand
	grad           *operand
	first, second  *moment
	zeros, between int // range of elements with gradient and first moment 0
}

// A moment is a parameter's moment in float32 or in 8 bits.
type moment struct {
	values, absmax *operand
	code           *dynamic8.Code // code of 8-bit values
	start          []float64
}

func (c optimizeCase) parameter(f *fixture, name string, n int) *optimized {
	o := &optimized{master: f.input(name+"Master", bindings.F32, 1, n, 1)}
	grad := make([]float64, n)
	for i := range grad {
		grad[i] = f.rng.NormFloat64()
	}
	o.zeros, o.between = n/2, n/2+n/4
	clear(grad[o.zeros:o.between])
	o.grad = f.given(name+"Grad", bindings.F32, 1, n, grad)
	o.value = o.master
	if c.value != bindings.F32 {
		o.value = f.input(name+"Value", c.value, 1, n, 1)
	}
	o.param = bindings.Param{
		Name: name, Value: o.value.Tensor, Master: o.master.Tensor, Grad: o.grad.Tensor, Decay: c.decay, Rate: c.rate,
	}
	first, second := c.rule.Moments()
	if first {
		o.first = c.moment(f, name+"M", n, dynamic8.Signed(), o.zeros, o.between)
		o.param.M = o.first.tensors()
	}
	if second {
		o.second = c.moment(f, name+"V", n, dynamic8.Unsigned(), 0, 0)
		o.param.V = o.second.tensors()
	}
	return o
}

// moment declares a random moment, with zeros in [from, to) if it is float32. A second
// moment is not negative.
func (c optimizeCase) moment(f *fixture, name string, n int, code *dynamic8.Code, from, to int) *moment {
	m := &moment{start: make([]float64, n)}
	if !c.eightBit {
		for i := range m.start {
			m.start[i] = f.rng.NormFloat64() * 0.1
			if code == dynamic8.Unsigned() {
				m.start[i] *= m.start[i]
			}
		}
		clear(m.start[from:to])
		m.values = f.given(name, bindings.F32, 1, n, m.start)
		m.start = m.values.values
		return m
	}
	m.code = code
	codes, absmax := make([]byte, n), make([]float64, dynamic8.Blocks(n))
	for i := range absmax {
		absmax[i] = 0.01 + f.rng.Float64()
	}
	m.absmax = f.given(name+" absmax", bindings.F32, 1, len(absmax), absmax)
	for i := range codes {
		codes[i] = byte(f.rng.Uint32())
		m.start[i] = float64(code.Values()[codes[i]]) * m.absmax.values[i/dynamic8.BlockSize]
	}
	m.values = f.bytes(name+" codes", codes)
	return m
}

func (m *moment) tensors() bindings.Moment {
	t := bindings.Moment{Values: m.values.Tensor}
	if m.absmax != nil {
		t.Absmax = m.absmax.Tensor
	}
	return t
}

// operands returns all operands that a step writes.
func (o *optimized) operands() []*operand {
	all := []*operand{o.master, o.value}
	for _, m := range []*moment{o.first, o.second} {
		if m != nil {
			all = append(all, m.values, m.absmax)
		}
	}
	return all
}

func (o *optimized) compare(op *bindings.Optimize, clip float64) {
	n := o.master.Len()
	at := func(m *moment, i int) float64 {
		if m == nil {
			return 0
		}
		return m.start[i]
	}
	w, m, v := make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range w {
		w[i], m[i], v[i] = moved(op, &o.param, o.master.values[i], o.grad.values[i]*clip, at(o.first, i), at(o.second, i))
	}
	o.master.sums(4, w)
	if o.first != nil {
		o.first.compare(m)
	}
	if o.second != nil {
		o.second.compare(v)
	}
	if o.value != o.master {
		got, want := o.value.raw(), encode(o.value.DType, decode(bindings.F32, o.master.raw()))
		if !slices.Equal(got, want) {
			o.master.f.t.Errorf("%s: Value is not Master rounded to nearest even", o.param.Name)
		}
	}
}

// tableStep is the maximum distance between a number and the one that bitsandbytes' CPU
// backend looks up for it, relative to the absmax: half a step of its table. A device
// that searches the nearest value, or keeps the sign of a number near zero as
// bitsandbytes does on CUDA, is also within it.
const tableStep = 1. / 65535

// compare checks the absmax of each block against want, and each code against the codes
// of all numbers within rounding and the table's step of the wanted one.
func (m *moment) compare(want []float64) {
	if m.code == nil {
		m.values.sums(4, want)
		return
	}
	f, codes, absmax := m.values.f, m.values.raw(), decode(bindings.F32, m.absmax.raw())
	most := make([]float64, len(absmax))
	for i, x := range want {
		most[i/dynamic8.BlockSize] = max(most[i/dynamic8.BlockSize], math.Abs(x))
	}
	m.absmax.sums(4, most)
	for i, x := range want {
		scaled, slack := x/absmax[i/dynamic8.BlockSize], tableStep+f.tol.relative(4, 0)
		low, high := nearest(m.code, scaled-slack), nearest(m.code, scaled+slack)
		if codes[i] < low || codes[i] > high {
			f.t.Errorf("%s %d: code %d for %.9g of the absmax, want %d to %d", m.values.name, i, codes[i], scaled, low, high)
			return
		}
	}
}

// nearest returns the code of the value nearest to x.
func nearest(c *dynamic8.Code, x float64) byte {
	values := c.Values()
	return byte(sort.Search(255, func(i int) bool { return x <= (float64(values[i])+float64(values[i+1]))/2 }))
}
