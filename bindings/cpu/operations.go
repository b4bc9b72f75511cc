package cpu

import (
	"fmt"

	"qlora/bindings"
)

// operations is what the CPU runs. The workspace of each, as its row here has it:
//
//	Norm       its weight and bias, where they are not in float32 as they are used
//	Embed      a row a thread, where it accumulates
//	Project    a slab of one weight (16 MiB, or one row), 512 tokens of XA, and of X with dropout;
//	           with a magnitude also 512 tokens of a slab's outputs and all tokens of XA
//	RowNorms   a slab of one weight
//	Attend     128·256 scores a thread; backward twice that, and 128 rows of a head
//	HeadLoss   a slab of the head; with LogitCap and a gradient, a row of logits a thread
//	others     nothing
var operations = bindings.NewTable(
	row((*Device).embed, embedFloats),
	row((*Device).embedBackward, nothing),
	row((*Device).norm, normFloats),
	row((*Device).normBackward, normBackwardFloats),
	row((*Device).project, projectFloats),
	row((*Device).projectBackward, projectBackwardFloats),
	row((*Device).rowNorms, rowNormsFloats),
	row((*Device).rope, nothing),
	row((*Device).attend, attendFloats),
	row((*Device).attendBackward, attendBackwardFloats),
	row((*Device).activate, nothing),
	row((*Device).activateBackward, nothing),
	row((*Device).add, nothing),
	row((*Device).addBackward, nothing),
	row((*Device).clamp, nothing),
	row((*Device).clampBackward, nothing),
	bindings.Implement((*Device).headLoss, headLossNeeds),
	row((*Device).gradNorm, nothing),
	row((*Device).optimize, nothing),
	row((*Device).zero, nothing),
	row((*Device).copy, nothing),
)

// row pairs an operation with the floats of workspace that it takes.
func row[O bindings.Operation](run func(*Device, O), floats func(*profile, O) int) bindings.Implementation[*Device, *profile] {
	return bindings.Implement(run, func(p *profile, op O) bindings.Needs {
		return bindings.Needs{Workspace: 4 * int64(floats(p, op))}
	})
}

func nothing[O bindings.Operation](*profile, O) int { return 0 }

// Needs returns the memory that op takes while it runs.
func (p *profile) Needs(op bindings.Operation) bindings.Needs { return operations.Needs(p, op) }

// Run computes op and is done with it when it returns.
func (d *Device) Run(op bindings.Operation) {
	err := d.check(op)
	if err == nil {
		err = operations.Run(d, d.info.Name, op)
	}
	d.fail(err)
}

// check returns what keeps op from running here: its own check, an element type
// other than float32, the only one of activations that this device computes with, or
// scratch that was not planned.
func (d *Device) check(op bindings.Operation) error {
	if err := bindings.Check(op); err != nil {
		return err
	}
	for _, o := range bindings.Operands(op) {
		if o.Activation && o.Tensor.DType != bindings.F32 {
			return fmt.Errorf("%s: %s is %v; the CPU computes with F32 activations", op.Name(), o.Name(), o.Tensor)
		}
	}
	need := d.Needs(op)
	if have := d.workspace.Bytes(); need.Workspace > have {
		return fmt.Errorf("%s needs %d bytes of scratch, the plan has %d", op.Name(), need.Workspace, have)
	}
	if have := d.loss.Bytes(); need.Loss > have {
		return fmt.Errorf("%s needs %d bytes for logits, the plan has %d", op.Name(), need.Loss, have)
	}
	return nil
}
