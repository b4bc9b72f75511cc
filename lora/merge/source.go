package merge

import "qlora/checkpoint"

// A source is a matrix that is read by rows.
type source interface {
	// rows fills dst with rows [from, to).
	rows(dst []float32, from, to int)
}

// stored is a tensor of the base or of an adapter, with rows of cols elements.
type stored struct {
	checkpoint.Tensor
	cols int
}

func (s stored) rows(dst []float32, from, _ int) { s.Floats(dst, from*s.cols) }

// values are a matrix in memory.
type values struct {
	x    []float32
	cols int
}

func (v values) rows(dst []float32, from, _ int) { copy(dst, v.x[from*v.cols:]) }

// overlaid are a matrix with other rows in place of some of its own.
type overlaid struct {
	source
	own  map[int][]float32
	cols int
}

func (o overlaid) rows(dst []float32, from, to int) {
	o.source.rows(dst, from, to)
	for i := from; i < to; i++ {
		if row, ok := o.own[i]; ok {
			copy(dst[(i-from)*o.cols:], row)
		}
	}
}
