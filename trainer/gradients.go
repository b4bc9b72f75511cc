package trainer

import (
	"qlora/bindings"
	"qlora/bindings/groups"
)

// gradients are those of a window. They add up in fixed point, so they have the same bits
// whichever rank computed which micro-batch, and whether it was a micro-batch or a part of one.
type gradients struct {
	params []bindings.Param
	sums   bindings.Tensor // absent: a window is one piece, rounded in its place
	limit  float32
}

// layOut places what a window of up to that many pieces needs.
func (g *gradients) layOut(a *bindings.Arena, pieces int) {
	g.limit = bindings.FoldLimit(pieces)
	if pieces > 1 {
		g.sums = a.New(bindings.I64, 1, bindings.SumsLen(g.params))
	}
}

// begin starts a window.
func (g *gradients) begin(dev bindings.Device) {
	for _, p := range g.params {
		dev.Run(&bindings.Zero{T: p.Grad})
	}
	if !g.sums.Absent() {
		dev.Run(&bindings.Zero{T: g.sums})
	}
}

// add adds the gradients of a piece.
func (g *gradients) add(dev bindings.Device) {
	if !g.sums.Absent() {
		dev.Run(&bindings.Fold{Params: g.params, Sums: g.sums, Limit: g.limit})
	}
}

// end completes the gradients with those of the other ranks.
func (g *gradients) end(dev bindings.Device, group groups.Group) error {
	if g.sums.Absent() {
		dev.Run(&bindings.Round{Params: g.params, Limit: g.limit})
		return nil
	}
	if group != nil {
		if err := group.Sum(dev, g.sums); err != nil {
			return err
		}
	}
	dev.Run(&bindings.Unfold{Params: g.params, Sums: g.sums})
	return nil
}
