package bindings

import "fmt"

// An Activation is the nonlinearity of a feed-forward network. The zero value is SiLU.
type Activation uint8

// The activations.
const (
	SiLU        Activation = iota // x·sigmoid(x)
	GELU                          // x·Φ(x), exact by erf
	GELUTanh                      // GELU's tanh approximation (Hendrycks & Gimpel 2016)
	ReLU                          // max(x, 0)
	ReLUSquared                   // max(x, 0)²
)

var activationNames = [...]string{"silu", "gelu", "gelu_tanh", "relu", "relu2"}

// String returns the activation's name.
func (a Activation) String() string {
	if int(a) >= len(activationNames) {
		return fmt.Sprintf("Activation(%d)", a)
	}
	return activationNames[a]
}

// Activate applies the activation f of a feed-forward network: Y = f(G), or gated
// (Shazeer 2020) Y = f(G)·U.
type Activate struct {
	Kind Activation
	G    Tensor // [tokens, intermediate]; may be a view
	U    Tensor // like G; absent: not gated
	Y    Tensor // [tokens, intermediate]
}

// ActivateBackward is the backward of Activate: DG = DY·U·f'(G), DU = DY·f(G).
type ActivateBackward struct {
	Activate // Y is not read

	DY    Tensor // [tokens, intermediate]
	DG    Tensor // like G; may be G or DY
	DU    Tensor // like G; may be U; absent if U is
	Again Tensor // like DY: what Activate wrote to Y; may be DY; absent: not wanted
}

func (op *Activate) inputs(c *contract) (same form) {
	like := c.leads("G", op.G)
	same = like(op.G.Rows, op.G.Cols)
	op.known(c)
	c.reads("U", op.U, same.asView().orAbsent())
	c.oneGroup("G", op.G)
	c.oneGroup("U", op.U)
	return same
}

func (op *Activate) known(c *contract) {
	if int(op.Kind) >= len(activationNames) {
		c.fail("%v is unknown", op.Kind)
	}
}

// oneGroup rejects a view whose columns are in several groups.
func (c *contract) oneGroup(field string, t Tensor) {
	if width, _ := t.Groups(); width != t.Cols {
		c.wrong(field, "has groups of %d columns; they must be adjacent", width)
	}
}

// Name returns "activate".
func (*Activate) Name() string { return "activate" }

func (op *Activate) declare(c *contract) {
	c.writes("Y", op.Y, op.inputs(c))
}

// Name returns "activate backward".
func (*ActivateBackward) Name() string { return "activate backward" }

func (op *ActivateBackward) declare(c *contract) {
	same := op.inputs(c)
	c.reads("DY", op.DY, same)
	c.writes("DG", op.DG, same.asView()).mayBe("G", "DY")
	c.oneGroup("DG", op.DG)
	c.oneGroup("DU", op.DU)
	c.that(op.DU.Absent() == op.U.Absent(), "only one of U and DU is present")
	c.writes("DU", op.DU, same.asView().orAbsent()).mayBe("U")
	c.writes("Again", op.Again, same.orAbsent()).mayBe("DY")
}
