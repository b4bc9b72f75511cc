package cuda

import "qlora/bindings"

// table holds the composition of every operation.
var table = bindings.NewTable(
	composed((*composer).embed),
	composed((*composer).embedBackward),
	composed((*composer).norm),
	composed((*composer).normBackward),
	composed((*composer).project),
	composed((*composer).projectBackward),
	composed((*composer).rowNorms),
	composed((*composer).rope),
	composed((*composer).extend),
	composed((*composer).attend),
	composed((*composer).attendBackward),
	composed((*composer).activate),
	composed((*composer).activateBackward),
	composed((*composer).add),
	composed((*composer).addBackward),
	composed((*composer).clamp),
	composed((*composer).clampBackward),
	composed((*composer).headLoss),
	composed((*composer).logProbs),
	composed((*composer).preference),
	composed((*composer).fold),
	composed((*composer).unfold),
	composed((*composer).round),
	composed((*composer).policy),
	composed((*composer).gradNorm),
	composed((*composer).squareSums),
	composed((*composer).optimize),
	composed((*composer).scaleRows),
	composed((*composer).gather),
	composed((*composer).zero),
	composed((*composer).copy),
	composed((*composer).transfer),
	composed((*composer).await),
)

// composed returns an implementation that composes an operation to run it, and composes
// it without launches to determine its needs. A GPU's run takes scratch as it goes; the emulator's
// plans first, since kernels may touch no more than their operation needs.
func composed[O bindings.Operation](compose func(*composer, O)) bindings.Implementation[*Device, profile] {
	plan := func(p profile, r *room, op O) bindings.Needs {
		c := composer{decoded: p.decoded, room: r}
		compose(&c, op)
		return bindings.Needs{Workspace: c.scratch.peak, Loss: c.logits.peak}
	}
	return bindings.Implement(func(d *Device, op O) {
		d.compose(op, func() bindings.Needs { return plan(d.profile, d.room, op) }, func(c *composer) { compose(c, op) })
	}, func(p profile, op O) bindings.Needs { return plan(p, nil, op) })
}
