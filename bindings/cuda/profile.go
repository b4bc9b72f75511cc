package cuda

import "qlora/bindings"

// profile is what a device needs, whether it is opened or not.
type profile struct {
	info    bindings.Info
	decoded int // bytes of a weight's copy in bf16
}

func profileOf(name string) profile {
	return profile{info: bindings.Info{Name: name, Activation: bindings.BF16}, decoded: decodedBytes}
}

// Profile is the memory behaviour of a CUDA device, of the emulated one, too.
func Profile() bindings.Profile {
	return profileOf("cuda")
}

// Info is what the device says of itself.
func (p profile) Info() bindings.Info { return p.info }

// Scratch is the workspace of one operation in bytes, forward or backward: that of
// composing it without a launch.
func (p profile) Scratch(op any) int64 {
	c := composer{decoded: p.decoded}
	plan := func(wanted bool, compose func()) {
		if wanted {
			c.inside(compose)
		}
	}
	switch op := op.(type) {
	case *bindings.Project:
		forward, backward := false, false
		for i := range op.Parts {
			forward = forward || !op.Parts[i].Y.Absent()
			backward = backward || !op.Parts[i].DY.Absent()
		}
		plan(forward, func() { c.project(op) })
		plan(backward, func() { c.projectBackward(op) })
	case *bindings.Norm:
		plan(!op.DX.Absent(), func() { c.normBackward(op) })
	case *bindings.Attend:
		plan(!op.O.Absent(), func() { c.attend(op) })
		plan(!op.DO.Absent(), func() { c.attendBackward(op) })
	case *bindings.HeadLoss:
		c.headLoss(op)
	case *bindings.GradNorm:
		c.gradNorm(op)
	case *bindings.Optimize:
		c.optimize(op, maps{})
	}
	return c.scratch.peak
}

// LossScratch is the memory for logits, in bytes: bf16, a chunk of tokens.
func (profile) LossScratch(op *bindings.HeadLoss) int64 {
	var s scratch
	logits(&s, op)
	return s.peak
}
