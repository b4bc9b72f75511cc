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

// gather copies a row alone and sums several in pieces of the columns.
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
	for t := from; t < to; t++ {
		rows := j.rows[t : t+1]
		if j.starts != nil {
			rows = j.rows[j.starts[t]:max(j.starts[t], j.starts[t+1])]
		}
		toWidth, _ := j.y.Groups()
		fromWidth, _ := j.x.Groups()
		for col := 0; col < j.y.Cols; {
			n := min(toWidth-col%toWidth, fromWidth-col%fromWidth)
			if len(rows) == 1 {
				convert(j.y, t*j.y.Stride()+j.y.Column(col), j.x, int(rows[0])*j.x.Stride()+j.x.Column(col), 1, n)
			} else {
				n = min(n, rowPiece)
				j.sum(t, col, n, rows)
			}
			col += n
		}
	}
}

// sum adds up n adjacent columns of the rows.
func (j gatherJob) sum(t, col, n int, rows []int32) {
	var sums, wide [rowPiece]float32
	for _, row := range rows {
		vector.Convert(vector.Floats(wide[:], 1, n, n), partOf(j.x, int(row), col, n))
		add(sums[:n], wide[:n])
	}
	vector.Convert(partOf(j.y, t, col, n), vector.Floats(sums[:], 1, n, n))
}

// partOf returns n adjacent columns of one row.
func partOf(t bindings.Tensor, row, col, n int) vector.Rows {
	at := int64(row*t.Stride()+t.Column(col)) * t.DType.Size()
	return vector.RowsAt(unsafe.Add(t.Address(), at), types[t.DType], 1, n, n)
}
