package cpu

import (
	"math"
	"sort"

	"qlora/bindings"
	"qlora/bindings/cpu/vector"
	"qlora/internal/dynamic8"
)

// optimizePiece is the number of elements per goroutine and turn: whole blocks.
const optimizePiece = 64 * dynamic8.BlockSize

// optimize follows torch's and bitsandbytes' CPU code with the same roundings, so moments
// have the same bits and codes. A weight's change may differ in the last bit, because
// torch's square root (MKL's) is not always the nearest.
func (d *Device) optimize(op *bindings.Optimize) {
	clip := f32(op.Clip)[1]
	if math.IsNaN(float64(clip)) || math.IsInf(float64(clip), 0) {
		return
	}
	steps := make([]step, len(op.Params))
	for i := range op.Params {
		steps[i] = stepOf(op, &op.Params[i], clip)
	}
	d.params(op.Params, optimizePiece, func(lane, _, i, from, to int) {
		p := &op.Params[i]
		m, v := momentOf(p.M, dynamic8.Signed), momentOf(p.V, dynamic8.Unsigned)
		w, g, wide := f32(p.Master), f32(p.Grad), &d.moments[lane]
		stride := optimizePiece
		if m.code != nil || v.code != nil {
			stride = dynamic8.BlockSize
		}
		for at := from; at < to; at += stride {
			end := min(at+stride, to)
			mean, square := m.expand(&wide[0], at, end), v.expand(&wide[1], at, end)
			steps[i].Run(w[at:end], g[at:end], mean, square)
			m.keep(mean, at)
			v.keep(square, at)
		}
		if p.Value != p.Master {
			narrow(p.Value, from, w[from:to])
		}
	})
}

// params calls do for all elements of the parameters in parallel: piece by piece, in the
// order of the parameters, for elements [from, to) of params[i], at most size of them.
func (d *Device) params(params []bindings.Param, size int, do func(lane, piece, i, from, to int)) {
	first := make([]int, len(params)+1) // the number of each parameter's first piece
	for i := range params {
		first[i+1] = first[i] + tiles(params[i].Grad.Len(), size)
	}
	d.parallel(first[len(params)], func(lane, piece int) {
		i := sort.SearchInts(first, piece+1) - 1
		from := (piece - first[i]) * size
		do(lane, piece, i, from, min(params[i].Grad.Len(), from+size))
	})
}

// A step updates elements of a weight and of its moments. Its scalars are rounded to
// float32, as torch rounds a Python number combined with a float32 tensor.
type step interface {
	Run(w, g, m, v []float32)
}

func stepOf(op *bindings.Optimize, p *bindings.Param, clip float32) step {
	lr, decay := op.LR*p.Rate, 0.0
	if p.Decay {
		decay = op.WeightDecay
	}
	switch rule := op.Rule.(type) {
	case bindings.AdamW:
		return newAdamStep(rule, lr, decay, op.Step, clip, !p.M.Absmax.Absent())
	case bindings.Lion:
		return newLionStep(rule, lr, decay, clip)
	case bindings.SGD:
		return newSGDStep(rule, lr, decay, op.Step, clip)
	}
	panic("cpu: a rule that Check does not let through")
}

// A wideBlock is a dequantized block of an 8-bit moment.
type wideBlock [dynamic8.BlockSize]float32

// A moment is a parameter's moment in float32, in 8 bits, or absent.
type moment struct {
	values []float32
	codes  []byte
	absmax []float32
	code   *dynamic8.Code // nil: float32 or absent
}

func momentOf(m bindings.Moment, code func() *dynamic8.Code) moment {
	switch {
	case m.Absent():
		return moment{}
	case m.Absmax.Absent():
		return moment{values: f32(m.Values)}
	}
	return moment{codes: elements[uint8](m.Values), absmax: f32(m.Absmax), code: code()}
}

// expand returns the elements [from, to) in float32, at most a block of an 8-bit moment;
// nil if the moment is absent.
func (m *moment) expand(wide *wideBlock, from, to int) []float32 {
	switch {
	case m.code != nil:
		x := wide[:to-from]
		vector.Expand8(x, m.codes[from:to], m.code.Values(), m.absmax[from/dynamic8.BlockSize])
		return x
	case m.values != nil:
		return m.values[from:to]
	}
	return nil
}

// keep stores the updated result of expand.
func (m *moment) keep(x []float32, from int) {
	if m.code != nil {
		m.absmax[from/dynamic8.BlockSize] = vector.Quantize8(m.codes[from:from+len(x)], x, m.code.Steps())
	}
}
