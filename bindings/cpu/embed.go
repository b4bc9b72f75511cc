package cpu

import (
	"fmt"

	"qlora/bindings"
	"qlora/internal/philox"
)

// embedTokens is the number of tokens per goroutine and turn.
const embedTokens = 64

// embed copies rows of the table and adds their noise.
func (d *Device) embed(op *bindings.Embed) {
	ids := elements[int32](op.IDs)
	if !d.known("embed", ids, op.Table.Rows) {
		return
	}
	y, cols, scale := f32(op.Y), op.Y.Cols, orOne(op.Scale)
	noise := philox.NewNoise(op.Random.Seed, bindings.NoiseStream, op.Random.Step, op.Noise)
	noisy := op.Random.Train && op.Noise > 0
	lanes := d.lanes(cols)
	d.parallel(tiles(len(ids), embedTokens), func(lane, piece int) {
		for t := piece * embedTokens; t < min(len(ids), (piece+1)*embedTokens); t++ {
			out := y[t*cols : (t+1)*cols]
			row := out
			if op.Accumulate {
				row = lanes(lane)
			}
			widen(row, op.Table, int(ids[t])*cols)
			if noisy {
				noise.Add(row, t)
			}
			if scale != 1 {
				for j := range row {
					row[j] *= scale
				}
			}
			if op.Accumulate {
				add(out, row)
			}
		}
	})
}

// embedFloats returns the scratch in floats: a row per thread if it accumulates.
func embedFloats(p *profile, op *bindings.Embed) int {
	if !op.Accumulate {
		return 0
	}
	return p.threads * padded(op.Y.Cols)
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
	dy, table, cols, scale := f32(op.DY), f32(op.DTable), op.DY.Cols, orOne(op.Scale)
	d.rows(cols, 128, func(from, to int) {
		for t, id := range ids {
			if id == op.Pad {
				continue
			}
			sum, row := table[int(id)*cols+from:int(id)*cols+to], dy[t*cols+from:t*cols+to]
			if scale == 1 {
				add(sum, row)
				continue
			}
			for j, v := range row {
				sum[j] += scale * v
			}
		}
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
