package cpu

import "qlora/bindings"

// backward marks an operation whose backward is meant.
type backward struct{ op any }

// Scratch is the bytes of workspace that op needs, forward or backward. Bounds:
//
//	Project    a slab of one weight (16 MiB, or one row), 512 tokens of Low, and twice of X with dropout;
//	           with a magnitude also 512 tokens of a slab's outputs and all tokens of Low
//	RowNorms   a slab of one weight
//	Attend     2·128·256 scores and 128 rows of a head, a thread
//	HeadLoss   a slab of the head; logits are LossScratch's
//	Norm       its weight
//	others     nothing
func (p *profile) Scratch(op any) int64 {
	floats := 0
	switch op := op.(type) {
	case backward:
		return p.Scratch(op.op)
	case *bindings.Project:
		floats = max(scratchProject(op), scratchProjectBackward(op))
	case *bindings.RowNorms:
		floats = scratchRowNorms(op)
	case *bindings.Norm:
		floats = scratchNorm(op)
	case *bindings.Attend:
		floats = p.threads * padded(attendBackwardFloats(op.HeadDim))
	case *bindings.HeadLoss:
		floats = scratchHeadLoss(op)
	}
	return 4 * int64(floats)
}
