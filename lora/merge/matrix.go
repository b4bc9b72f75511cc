package merge

import (
	"context"
	"io"
	"math"
	"runtime"
	"sync"

	"qlora/checkpoint"
)

// pieceElements is the size of a piece of rows in elements, unless one row is longer.
// Each worker holds three buffers of that size: base, merged and delta.
const pieceElements = 1 << 18

// A matrix is a merged weight: the base's with the adapters' changes.
type matrix struct {
	name       string
	rows, cols int
	from       source
	changes    []change
	product    Product
}

// write writes the rows as elements of dtype, each rounded once.
func (m *matrix) write(ctx context.Context, out io.Writer, dtype checkpoint.DType) error {
	height := max(1, pieceElements/max(1, m.cols))
	lanes := make([]lane, min(runtime.GOMAXPROCS(0), (m.rows+height-1)/height))
	for at := 0; at < m.rows; at += height * len(lanes) {
		if err := ctx.Err(); err != nil {
			return err
		}
		var workers sync.WaitGroup
		for i := range lanes {
			from := min(at+i*height, m.rows)
			to := min(from+height, m.rows)
			workers.Go(func() { lanes[i].make(m, from, to, dtype) })
		}
		workers.Wait()
		for i := range lanes {
			if err := lanes[i].err; err != nil {
				return err
			}
			if _, err := out.Write(lanes[i].data); err != nil {
				return err
			}
		}
	}
	return nil
}

// A lane is the memory of one worker, for one piece of rows.
type lane struct {
	w, base, delta []float32
	data           []byte
	err            error
}

func (l *lane) make(m *matrix, from, to int, dtype checkpoint.DType) {
	if from == to {
		l.data = nil
		return
	}
	w := l.values(m, from, to)
	l.data, l.err = dtype.AppendFloats(l.data[:0], w), m.check(w, from, dtype)
}

// values returns rows [from, to), valid until the next call. The first call must be
// for as many rows as any later one.
func (l *lane) values(m *matrix, from, to int) []float32 {
	n := (to - from) * m.cols
	if l.w == nil {
		l.w, l.base, l.delta = make([]float32, n), make([]float32, n), make([]float32, n)
	}
	w, base := l.w[:n], l.base[:n]
	m.from.rows(base, from, to)
	copy(w, base)
	for i := range m.changes {
		m.changes[i].apply(m.product, w, base, l.delta[:n], from, to, m.cols)
	}
	return w
}

// largest are the types' largest finite values.
var largest = map[checkpoint.DType]float32{
	checkpoint.F32: math.MaxFloat32, checkpoint.BF16: 0x1.fep127, checkpoint.F16: 65504,
}

// check returns an error for the first value that dtype cannot represent.
func (m *matrix) check(w []float32, from int, dtype checkpoint.DType) error {
	limit := largest[dtype]
	for i, v := range w {
		if !(v >= -limit && v <= limit) {
			return checkpoint.Damagedf("%s: row %d, column %d would be %v, which %s cannot hold: the base or an adapter is damaged, or another `dtype` is needed",
				m.name, from+i/m.cols, i%m.cols, v, dtype)
		}
	}
	return nil
}
