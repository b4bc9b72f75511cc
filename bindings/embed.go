package bindings

import "math"

// Embed looks up rows of a table:
//
//	Y[t] (+)= Scale·(Table[IDs[t]] + noise)
//
// The noise, in training only, is uniform in [-Noise, Noise) (NEFTune, Jain et al.
// 2023), drawn by package philox from NoiseStream. Learned positions are a second
// lookup that accumulates.
type Embed struct {
	IDs        Tensor  // I32 [1, tokens]
	Table      Tensor  // F32, BF16 or F16 [vocabulary, hidden]; may be in the host's memory
	Y          Tensor  // [tokens, hidden]
	Accumulate bool    // Y += instead of Y =
	Scale      float32 // 0: 1
	Noise      float32 // 0: none
	Random     Random
	// DeviceNoise has Noise in the device's memory, F32 [1, 1], for work that is run again
	// with another bound, but not with 0 (Repeater). Absent: kernels are given the number.
	DeviceNoise Tensor
}

// EmbedBackward adds the gradient of the table: DTable[IDs[t]] += Scale·DY[t], for ids
// other than Pad.
type EmbedBackward struct {
	IDs    Tensor  // I32 [1, tokens]
	DY     Tensor  // [tokens, hidden]
	DTable Tensor  // F32 [vocabulary, hidden]
	Scale  float32 // 0: 1
	Pad    int32   // id whose row gets no gradient; -1: none
}

// Name returns "embed".
func (*Embed) Name() string { return "embed" }

func (op *Embed) declare(c *contract) {
	access := Writes
	if op.Accumulate {
		access = Updates
	}
	c.operand("Y", op.Y, access, form{any: true, types: typesOf(F32, BF16)}).Activation = true
	table := matrix(op.Table.Rows, op.Y.Cols, floats...)
	table.host = true
	c.reads("Table", op.Table, table)
	c.reads("IDs", op.IDs, vector(op.Y.Rows, I32))
	op.Random.whole(c, op.Noise)
	c.reads("DeviceNoise", op.DeviceNoise, vector(1, F32).orAbsent())
	c.that(op.Noise >= 0 && !math.IsInf(float64(op.Noise), 1), "Noise is %g", op.Noise)
}

// Name returns "embed backward".
func (*EmbedBackward) Name() string { return "embed backward" }

func (op *EmbedBackward) declare(c *contract) {
	c.leads("DY", op.DY)
	c.dense("DY", op.DY)
	c.updates("DTable", op.DTable, matrix(op.DTable.Rows, op.DY.Cols, F32))
	c.reads("IDs", op.IDs, vector(op.DY.Rows, I32))
}
