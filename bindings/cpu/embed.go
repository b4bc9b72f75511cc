package cpu

import (
	"fmt"

	"qlora/bindings"
	"qlora/bindings/cpu/vector"
)

type embedJob struct {
	y, table   vector.Rows
	ids        []int32
	accumulate bool
	scale      float32
	noisy      bool
	noise      vector.Noise
}

func (j embedJob) run(from, to int) {
	var noise *vector.Noise
	if j.noisy {
		noise = &j.noise
	}
	vector.Embed(j.y.Slice(from, to), j.table, j.ids[from:to], j.accumulate, j.scale, noise, from)
}

// embed copies rows of the table and adds their noise.
func (d *Device) embed(op *bindings.Embed) {
	ids := elements[int32](op.IDs)
	if !d.known("embed", ids, op.Table.Rows) {
		return
	}
	split(d, op.Y.Rows, op.Y.Cols, embedJob{
		y: rowsOf(op.Y), table: rowsOf(op.Table), ids: ids, accumulate: op.Accumulate, scale: orOne(op.Scale),
		noisy: op.Random.Train && op.Noise > 0,
		noise: vector.NewNoise(op.Random.Seed, bindings.NoiseStream, op.Random.Step, op.Noise),
	})
}

// orOne returns factor, or 1 if it is 0.
func orOne(factor float32) float32 {
	if factor == 0 {
		return 1
	}
	return factor
}

// embedBackward divides the table by columns, so that rows of the same id are added in
// the order of the tokens for any number of threads.
func (d *Device) embedBackward(op *bindings.EmbedBackward) {
	ids := elements[int32](op.IDs)
	if !d.known("embed backward", ids, op.DTable.Rows) {
		return
	}
	table, dy, scale := rowsOf(op.DTable), rowsOf(op.DY), orOne(op.Scale)
	d.rows(op.DY.Cols, sumColumns, func(from, to int) {
		vector.EmbedBackward(table.Columns(from, to), dy.Columns(from, to), ids, op.Pad, scale)
	})
}

// known reports whether all ids are rows of a table, and records an error otherwise.
func (d *Device) known(op string, ids []int32, rows int) bool {
	for t, id := range ids {
		if id < 0 || int(id) >= rows {
			d.fail(fmt.Errorf("%s: the id of row %d is %d, the table has %d rows", op, t, id, rows))
			return false
		}
	}
	return true
}
