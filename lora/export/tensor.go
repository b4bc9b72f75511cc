package export

import (
	"context"
	"io"
	"runtime"
	"sync"

	"qlora/checkpoint"
	"qlora/internal/ggml"
	"qlora/internal/gguf"
	"qlora/internal/llamacpp"
)

// pieceElements is the size of a piece of rows in elements, unless one row is longer.
const pieceElements = 1 << 18

// A tensor is one to write, and where its elements come from.
type tensor struct {
	llamacpp.Tensor
	kind   ggml.Type
	from   checkpoint.Tensors
	values []float32 // in place of from
}

// entry returns the tensor of the file.
func (t *tensor) entry(ctx context.Context, m *meter) gguf.Entry {
	return gguf.Entry{
		Name: t.Name, Type: t.kind, Shape: t.Shape,
		Write: func(w io.Writer) error { return t.write(ctx, w, m) },
	}
}

// write writes the elements in the tensor's type. Each worker converts a piece of a few rows
// at a time, and the pieces are written in order.
func (t *tensor) write(ctx context.Context, w io.Writer, m *meter) error {
	read, err := t.reader()
	if err != nil {
		return err
	}
	rows, cols := t.size()
	height := max(1, pieceElements/max(1, cols))
	pieces := make([]piece, min(runtime.GOMAXPROCS(0), (rows+height-1)/height))
	for at := 0; at < rows; at += height * len(pieces) {
		if err := ctx.Err(); err != nil {
			return err
		}
		var workers sync.WaitGroup
		for i := range pieces {
			first := min(at+i*height, rows)
			last := min(first+height, rows)
			workers.Go(func() { pieces[i].make(t, read, first*cols, last*cols) })
		}
		workers.Wait()
		for i := range pieces {
			if err := pieces[i].err; err != nil {
				return err
			}
			if _, err := w.Write(pieces[i].data); err != nil {
				return err
			}
			m.add(len(pieces[i].data))
		}
	}
	for _, name := range t.From {
		t.from.Release(name)
	}
	return nil
}

// size returns the rows and their length; a vector is one row.
func (t *tensor) size() (rows, cols int) {
	rows, cols = 1, 1
	if last := len(t.Shape) - 1; last >= 0 {
		cols = t.Shape[last]
		for _, n := range t.Shape[:last] {
			rows *= n
		}
	}
	return rows, cols
}

// A piece is the memory of one worker.
type piece struct {
	x    []float32
	data []byte
	err  error
}

// make converts the elements [first, last), which are whole rows.
func (p *piece) make(t *tensor, read reader, first, last int) {
	n := last - first
	if cap(p.x) < n {
		p.x = make([]float32, n)
	}
	x := p.x[:n]
	read(x, first)
	var sum float32 // of zeros, or NaN
	for i := range x {
		x[i] += t.Shift
		sum += x[i] * 0
	}
	if sum != 0 {
		p.err = checkpoint.Damagedf("%s: an element of %s is not finite: the base or an adapter is damaged", t.origin(), t.Name)
		return
	}
	size, err := t.kind.Bytes(int64(n))
	if err != nil {
		p.err = err
		return
	}
	if int64(cap(p.data)) < size {
		p.data = make([]byte, size)
	}
	p.data = p.data[:size]
	p.err = ggml.Quantize(t.kind, p.data, x)
}

// origin returns the place of the tensor in the base, for messages.
func (t *tensor) origin() string {
	if t.from == nil || len(t.From) == 0 {
		return t.Name
	}
	return t.from.Where(t.From[0])
}

// A meter counts the bytes written.
type meter struct {
	report      func(done, total int64)
	done, total int64
}

func (m *meter) add(n int) {
	if m.done += int64(n); m.report != nil && n > 0 {
		m.report(m.done, m.total)
	}
}
