package cuda

import "qlora/bindings"

// The messages for a list that names what is not there.
var (
	unknownGathered = text("gather: row %d of the list is %d, the matrix has %d")
	unknownStart    = text("gather: sum %d starts at %d, the list has fewer than %d rows")
)

// scaleRows launches one kernel.
func (c *composer) scaleRows(op *bindings.ScaleRows) {
	do(c, &scaleRows{x: matrix(op.X), factors: vector(op.Factors)})
}

// gather launches one kernel.
func (c *composer) gather(op *bindings.Gather) {
	k := &gather{x: matrix(op.X), y: matrix(op.Y), rows: vector(op.Rows)}
	c.check(&checkRange{values: k.rows, limit: i32(op.X.Rows), ignore: none, text: unknownGathered})
	if !op.Starts.Absent() {
		k.starts = vector(op.Starts)
		c.check(&checkRange{values: k.starts, limit: i32(op.Rows.Len() + 1), ignore: none, text: unknownStart})
	}
	do(c, k)
}
