package cuda

import "qlora/bindings"

// The messages for an index out of range; the arguments are its row, its value and the
// size of the table.
var (
	unknownID       = text("embed: the id of row %d is %d, the table has %d rows")
	unknownIDBack   = text("embed backward: the id of row %d is %d, the table has %d rows")
	unknownPosition = text("rope: row %d is at position %d, the tables have %d")
	unknownPlace    = text("copy: row %d goes to row %d, and there are %d")
	unknownLabel    = text("head loss: the label of row %d is %d, the vocabulary has %d")
)

// none disables the ignore value: 0 is always in range.
const none = 0

// embed copies rows of the table and adds their noise.
func (c *composer) embed(op *bindings.Embed) {
	ids := vector(op.IDs)
	c.check(&checkRange{values: ids, limit: i32(op.Table.Rows), ignore: none, text: unknownID})
	k := embed{
		ids: ids, table: matrix(op.Table), y: matrix(op.Y), accumulate: flag(op.Accumulate), scale: orOne(op.Scale),
	}
	if op.Random.Train && op.Noise > 0 {
		k.noise = float(op.Noise)
		k.seed, k.stream, k.step = u64(op.Random.Seed), bindings.NoiseStream, u32(op.Random.Step)
		if !op.Random.Device.Absent() {
			k.step, k.place = 0, pointer[u32](op.Random.Device)
		}
		k.bound = pointer[float](op.DeviceNoise)
		if k.bound != nil {
			k.noise = 1
		}
	}
	do(c, &k)
}

// embedBackward adds rows of the same id in token order.
func (c *composer) embedBackward(op *bindings.EmbedBackward) {
	ids := vector(op.IDs)
	c.check(&checkRange{values: ids, limit: i32(op.DTable.Rows), ignore: none, text: unknownIDBack})
	do(c, &embedBackward{ids: ids, dy: matrix(op.DY), dtable: matrix(op.DTable), scale: orOne(op.Scale), pad: i32(op.Pad)})
}
