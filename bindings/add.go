package bindings

// Add adds a branch to the residual stream: Y = Residual + Scale·dropout(X).
type Add struct {
	X        Tensor  // [tokens, features]
	Residual Tensor  // like X; absent: 0
	Y        Tensor  // like X; may be X or Residual
	Scale    float32 // 0: 1
	Dropout  float32 // probability of dropping an element of X
	Stream   uint32  // random stream of the mask
	Random   Random
}

// AddBackward is the backward of Add: DX = Scale·dropout'(DY). The residual's gradient
// is DY itself.
type AddBackward struct {
	DY      Tensor // [tokens, features]
	DX      Tensor // like DY; may be DY
	Scale   float32
	Dropout float32
	Stream  uint32
	Random  Random
}

// Name returns "add".
func (*Add) Name() string { return "add" }

func (op *Add) declare(c *contract) {
	like := c.leads("X", op.X)
	c.dense("X", op.X)
	same := like(op.X.Rows, op.X.Cols)
	c.reads("Residual", op.Residual, same.orAbsent())
	c.writes("Y", op.Y, same).mayBe("X", "Residual")
	c.probability("Dropout", op.Dropout)
	op.Random.whole(c, op.Dropout)
}

// Name returns "add backward".
func (*AddBackward) Name() string { return "add backward" }

func (op *AddBackward) declare(c *contract) {
	like := c.leads("DY", op.DY)
	c.dense("DY", op.DY)
	c.writes("DX", op.DX, like(op.DY.Rows, op.DY.Cols)).mayBe("DY")
	c.probability("Dropout", op.Dropout)
	op.Random.whole(c, op.Dropout)
}
