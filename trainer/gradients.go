package trainer

import (
	"qlora/bindings"
	"qlora/bindings/groups"
)

// gradients are those of a window. They add up in fixed point, so they have the same bits
// whichever rank computed which micro-batch, and whether it was a micro-batch or a part of one.
type gradients struct {
	params []bindings.Param
	sums   bindings.Tensor // absent: a window is one piece, rounded in its place, or shared has them
	limit  float32
	shared *stateShards // that ranks have of the sums and the optimizer's state; nil: each has all
}

// layOut places what a window of up to that many pieces needs.
func (g *gradients) layOut(a *bindings.Arena, pieces int) {
	g.limit = bindings.FoldLimit(pieces)
	if pieces > 1 && g.shared == nil {
		g.sums = a.New(bindings.I64, 1, bindings.SumsLen(g.params))
	}
}

// begin starts a window.
func (g *gradients) begin(dev bindings.Device) {
	var zero bindings.Zero
	for _, p := range g.params {
		zero.T = p.Grad
		dev.Run(&zero)
	}
	switch {
	case g.shared != nil:
		g.shared.begin(dev)
	case !g.sums.Absent():
		dev.Run(&bindings.Zero{T: g.sums})
	}
}

// add adds the gradients of a piece.
func (g *gradients) add(dev bindings.Device) error {
	switch {
	case g.shared != nil:
		return g.shared.add(dev, g.limit, true)
	case !g.sums.Absent():
		dev.Run(&bindings.Fold{Params: g.params, Sums: g.sums, Limit: g.limit})
	}
	return nil
}

// accompany is called in place of add by a rank without a piece while others have one.
func (g *gradients) accompany(dev bindings.Device) error {
	if !g.sharesSums() {
		return nil
	}
	return g.shared.add(dev, g.limit, false)
}

// sharesSums reports whether ranks add up gradients after every piece.
func (g *gradients) sharesSums() bool { return g.shared != nil && !g.shared.sums.Absent() }

// end completes the gradients with those of the other ranks.
func (g *gradients) end(dev bindings.Device, group groups.Group) error {
	switch {
	case g.shared != nil:
		return g.shared.end(dev)
	case g.sums.Absent():
		dev.Run(&bindings.Round{Params: g.params, Limit: g.limit})
		return nil
	case group != nil:
		if err := group.Sum(dev, g.sums); err != nil {
			return err
		}
	}
	dev.Run(&bindings.Unfold{Params: g.params, Sums: g.sums})
	return nil
}

// updated returns the parameters, or parts of them, that this rank updates.
func (g *gradients) updated() []bindings.Param {
	if g.shared != nil {
		return g.shared.own()
	}
	return g.params
}
