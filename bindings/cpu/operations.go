package cpu

import (
	"fmt"

	"qlora/bindings"
)

// operations holds the CPU's implementations. Their workspace:
//
//	Norm       its weight and bias, unless float32 is used directly
//	Project    a chunk of up to 1024 tokens' packed X (backward: DY of all parts), adapters' A
//	           packed; a piece's sums and lines of the weight per thread
//	RowNorms   32 rows of the weight per thread, A packed
//	Attend     per thread, whatever the length of a sequence, panels of 256 rows of Q and O, 256
//	           of K and V and 64·256 scores, and backward their gradients, for one head; backward
//	           also DK and DV of a head and sequence, if they fit in 2 MiB; with single queries
//	           the partial sums of each 512 keys
//	HeadLoss   256 tokens of X packed and of DX in float32; like Project per thread
//	*Backward  that computes an output again: some rows of it per thread
//	others     nothing
var operations = bindings.NewTable(
	row((*Device).embed, nothing),
	row((*Device).embedBackward, nothing),
	row((*Device).norm, normFloats),
	row((*Device).normBackward, normBackwardFloats),
	row((*Device).project, projectFloats),
	row((*Device).projectBackward, projectBackwardFloats),
	row((*Device).rowNorms, rowNormsFloats),
	row((*Device).rope, nothing),
	row((*Device).extend, extendFloats),
	row((*Device).attend, attendFloats),
	row((*Device).attendBackward, attendBackwardFloats),
	row((*Device).activate, nothing),
	row((*Device).activateBackward, activateBackwardFloats),
	row((*Device).add, nothing),
	row((*Device).addBackward, nothing),
	row((*Device).clamp, nothing),
	row((*Device).clampBackward, nothing),
	bindings.Implement((*Device).headLoss, headLossNeeds),
	row((*Device).logProbs, nothing),
	row((*Device).preference, nothing),
	row((*Device).fold, nothing),
	row((*Device).unfold, nothing),
	row((*Device).round, nothing),
	row((*Device).policy, nothing),
	row((*Device).gradNorm, nothing),
	row((*Device).squareSums, nothing),
	row((*Device).optimize, nothing),
	row((*Device).scaleRows, nothing),
	row((*Device).gather, nothing),
	row((*Device).zero, nothing),
	row((*Device).copy, nothing),
	row((*Device).transfer, nothing),
	row((*Device).await, nothing),
)

// row returns the implementation of an operation with its workspace in floats.
func row[O bindings.Operation](run func(*Device, O), floats func(*profile, O) int) bindings.Implementation[*Device, *profile] {
	return bindings.Implement(run, func(p *profile, op O) bindings.Needs {
		return bindings.Needs{Workspace: 4 * int64(floats(p, op))}
	})
}

func nothing[O bindings.Operation](*profile, O) int { return 0 }

// Needs returns the scratch memory of op.
func (p *profile) Needs(op bindings.Operation) bindings.Needs { return operations.Needs(p, op) }

// Run computes op before it returns. Sync reports its error.
func (d *Device) Run(op bindings.Operation) {
	err := d.check(op)
	if err == nil {
		err = operations.Run(d, d.info.Name, op)
	}
	d.fail(err)
	if r := d.recording; r != nil {
		r.add(op)
	}
}

// check returns an error if op fails its own check or needs more scratch than planned.
// Activations are float32 or bfloat16, whatever the device's type.
func (d *Device) check(op bindings.Operation) error {
	if err := bindings.Check(op); err != nil {
		return err
	}
	need := d.Needs(op)
	if have := d.workspace.Bytes(); need.Workspace > have {
		return fmt.Errorf("%s needs %d bytes of scratch, but the plan has %d", op.Name(), need.Workspace, have)
	}
	if have := d.loss.Bytes(); need.Loss > have {
		return fmt.Errorf("%s needs %d bytes for logits, but the plan has %d", op.Name(), need.Loss, have)
	}
	return nil
}
