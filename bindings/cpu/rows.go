package cpu

import (
	"fmt"
	"unsafe"

	"qlora/bindings"
	"qlora/bindings/cpu/vector"
)

// rowPiece is the number of columns that a goroutine has in float32 at a time.
const rowPiece = 512

type scaleRowsJob struct {
	x       vector.Rows
	factors []float32
}

func (j scaleRowsJob) run(from, to int) {
	var wide [rowPiece]float32
	for t := from; t < to; t++ {
		row := j.x.Slice(t, t+1)
		for col := 0; col < row.Cols(); col += rowPiece {
			part := row.Columns(col, min(row.Cols(), col+rowPiece))
			n := part.Cols()
			vector.Convert(vector.Floats(wide[:], 1, n, n), part)
			vector.ScaleRows(part, wide[:n], j.factors[t:t+1])
		}
	}
}

func (d *Device) scaleRows(op *bindings.ScaleRows) {
	split(d, op.X.Rows, op.X.Cols, scaleRowsJob{rowsOf(op.X), f32(op.Factors)})
}

type gatherJob struct {
	x, y   bindings.Tensor
	rows   []int32
	starts []int32 // nil: one row each
}

// gather copies rows that follow each other at once, and sums several in pieces of the columns.
func (d *Device) gather(op *bindings.Gather) {
	j := gatherJob{x: op.X, y: op.Y, rows: elements[int32](op.Rows)}
	for i, row := range j.rows {
		if row < 0 || int(row) >= op.X.Rows {
			d.fail(fmt.Errorf("gather: row %d of the list is %d, the matrix has %d", i, row, op.X.Rows))
			return
		}
	}
	if !op.Starts.Absent() {
		j.starts = elements[int32](op.Starts)
		for t, s := range j.starts {
			if s < 0 || int(s) > len(j.rows) {
				d.fail(fmt.Errorf("gather: sum %d starts at %d, the list has fewer than %d rows", t, s, len(j.rows)+1))
				return
			}
		}
	}
	split(d, op.Y.Rows, op.Y.Cols, j)
}

func (j gatherJob) run(from, to int) {
	for t := from; t < to; {
		rows := j.of(t)
		n := 1
		if len(rows) == 1 {
			for t+n < to && j.follows(t+n, rows[0]+int32(n)) {
				n++
			}
			j.copy(t, int(rows[0]), n)
		} else {
			j.sum(t, rows)
		}
		t += n
	}
}

// of returns the rows whose sum is row t.
func (j gatherJob) of(t int) []int32 {
	if j.starts == nil {
		return j.rows[t : t+1]
	}
	return j.rows[j.starts[t]:max(j.starts[t], j.starts[t+1])]
}

// follows reports whether row t is a copy of row x.
func (j gatherJob) follows(t int, x int32) bool {
	rows := j.of(t)
	return len(rows) == 1 && rows[0] == x
}

// copy copies n rows, from row x on to row t on.
func (j gatherJob) copy(t, x, n int) {
	if j.x.Contiguous() && j.y.Contiguous() {
		convert(j.y, t*j.y.Cols, j.x, x*j.x.Cols, 1, n*j.x.Cols)
		return
	}
	toWidth, _ := j.y.Groups()
	fromWidth, _ := j.x.Groups()
	for col := 0; col < j.y.Cols; {
		width := min(toWidth-col%toWidth, fromWidth-col%fromWidth)
		convert(j.y, t*j.y.Stride()+j.y.Column(col), j.x, x*j.x.Stride()+j.x.Column(col), n, width)
		col += width
	}
}

// sum adds up rows, some adjacent columns at a time.
func (j gatherJob) sum(t int, rows []int32) {
	toWidth, _ := j.y.Groups()
	fromWidth, _ := j.x.Groups()
	for col := 0; col < j.y.Cols; {
		n := min(toWidth-col%toWidth, fromWidth-col%fromWidth, rowPiece)
		var sums, wide [rowPiece]float32
		for _, row := range rows {
			vector.Convert(vector.Floats(wide[:], 1, n, n), partOf(j.x, int(row), col, n))
			add(sums[:n], wide[:n])
		}
		vector.Convert(partOf(j.y, t, col, n), vector.Floats(sums[:], 1, n, n))
		col += n
	}
}

// partOf returns n adjacent columns of one row.
func partOf(t bindings.Tensor, row, col, n int) vector.Rows {
	at := int64(row*t.Stride()+t.Column(col)) * t.DType.Size()
	return vector.RowsAt(unsafe.Add(t.Address(), at), types[t.DType], 1, n, n)
}
