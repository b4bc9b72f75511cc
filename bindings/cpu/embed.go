package cpu

import (
	"fmt"

	"qlora/bindings"
	"qlora/internal/philox"
)

// Embed copies rows of the table and adds their noise.
func (d *Device) Embed(op *bindings.Embed) {
	if !d.ready(floats(op.Check(), op.Y), op) {
		return
	}
	ids := elements[int32](op.IDs)
	if !d.known("embed", ids, op.Table.Rows) {
		return
	}
	y, cols := f32(op.Y), op.Y.Cols
	noise := philox.NewNoise(op.Random.Seed, bindings.NoiseStream, op.Random.Step, op.Noise)
	d.rows(len(ids), 64, func(from, to int) {
		for t := from; t < to; t++ {
			row := y[t*cols : (t+1)*cols]
			widen(row, op.Table, int(ids[t])*cols)
			if op.Random.Train && op.Noise > 0 {
				noise.Add(row, t)
			}
		}
	})
}

// EmbedBackward cuts the table by columns: rows of the same id are added in the
// order of the tokens, whatever the threads.
func (d *Device) EmbedBackward(op *bindings.Embed) {
	if !d.ready(floats(op.CheckBackward(), op.DY), backward{op}) {
		return
	}
	ids := elements[int32](op.IDs)
	if !d.known("embed backward", ids, op.DTable.Rows) {
		return
	}
	dy, table, cols := f32(op.DY), f32(op.DTable), op.DY.Cols
	d.rows(cols, 128, func(from, to int) {
		for t, id := range ids {
			if id != op.Pad {
				add(table[int(id)*cols+from:int(id)*cols+to], dy[t*cols+from:])
			}
		}
	})
}

// known reports whether all ids are rows of a table.
func (d *Device) known(op string, ids []int32, rows int) bool {
	for t, id := range ids {
		if id < 0 || int(id) >= rows {
			d.fail(fmt.Errorf("%s: the id of row %d is %d, the table has %d rows", op, t, id, rows))
			return false
		}
	}
	return true
}
