package cuda

import "qlora/bindings"

// table has every operation as the composing of its kernels.
var table = bindings.NewTable(
	composed((*composer).embed),
	composed((*composer).embedBackward),
	composed((*composer).norm),
	composed((*composer).normBackward),
	composed((*composer).project),
	composed((*composer).projectBackward),
	composed((*composer).rowNorms),
	composed((*composer).rope),
	composed((*composer).attend),
	composed((*composer).attendBackward),
	composed((*composer).activate),
	composed((*composer).activateBackward),
	composed((*composer).add),
	composed((*composer).addBackward),
	composed((*composer).clamp),
	composed((*composer).clampBackward),
	composed((*composer).headLoss),
	composed((*composer).gradNorm),
	composed((*composer).optimize),
	composed((*composer).zero),
	composed((*composer).copy),
)

// composed runs an operation by composing it, and learns what that needs by
// composing it without a launch.
func composed[O bindings.Operation](compose func(*composer, O)) bindings.Implementation[*Device, profile] {
	needs := func(p profile, op O) bindings.Needs {
		c := composer{decoded: p.decoded}
		compose(&c, op)
		return bindings.Needs{Workspace: c.scratch.peak, Loss: c.logits.peak}
	}
	return bindings.Implement(func(d *Device, op O) {
		d.compose(op, needs(d.profile, op), func(c *composer) { compose(c, op) })
	}, needs)
}
