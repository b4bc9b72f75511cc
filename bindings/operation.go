package bindings

import (
	"cmp"
	"fmt"
	"slices"
)

// An Operation is one step of a device's work, as a value: its fields are the
// tensors it reads and writes and the numbers it computes with. A pointer to each
// of this package's operation types is one. Forward and backward are two.
//
// An operation lists its operands once. The check of its shapes and of what may
// lie over what, the memory that a device's kernels may touch, and what a dry run
// reports all come from that list.
type Operation interface {
	// Name names the operation in messages: "attend backward".
	Name() string
	// declare lists the operands and says what must hold of them.
	declare(*contract)
}

// Access says what an operation does with an operand.
type Access uint8

// The kinds of access.
const (
	Reads   Access = iota
	Writes         // without reading what was there
	Updates        // reads and writes
)

// An Operand is one tensor of an operation.
type Operand struct {
	Layer      string // the layer or parameter whose it is, where the operation has several; else ""
	Field      string // "X", "A"
	Tensor     Tensor
	Access     Access
	Activation bool // in the device's type of activations

	over []string // fields, of the same layer or of none, in whose very place it may lie
}

// Name returns the operand's name for messages: "model.layers.0.mlp.up_proj: A".
func (o *Operand) Name() string { return fieldName(o.Layer, o.Field) }

func fieldName(layer, field string) string {
	if layer == "" {
		return field
	}
	return layer + ": " + field
}

// Operands returns the tensors of op that are present.
func Operands(op Operation) []Operand {
	c := contract{}
	op.declare(&c)
	return c.operands
}

// Check returns the first thing that is wrong with op: a shape, an element type, a
// number, or an output that lies over a tensor that is still read. Devices check
// before they compute; what they then read is in bounds, except for ids, labels
// and positions, which are data.
func Check(op Operation) error {
	c := contract{op: op.Name()}
	op.declare(&c)
	c.checkPlaces()
	return c.err
}

// checkPlaces holds that nothing written shares bytes with another operand, but
// for exact places that the operation allows.
func (c *contract) checkPlaces() {
	slices.SortFunc(c.operands, func(a, b Operand) int { return cmp.Compare(a.Tensor.offset, b.Tensor.offset) })
	for i := range c.operands {
		a := &c.operands[i]
		for j := i + 1; j < len(c.operands) && c.operands[j].Tensor.offset < a.Tensor.end(); j++ {
			c.checkPair(a, &c.operands[j])
		}
	}
}

func (c *contract) checkPair(a, b *Operand) {
	if a.Access == Reads && b.Access == Reads || !a.Tensor.Overlaps(b.Tensor) {
		return
	}
	if a.Access == Reads {
		a, b = b, a
	}
	if !a.Tensor.samePlace(b.Tensor) || !a.mayLieOver(b) && !b.mayLieOver(a) {
		c.fail("%s lies over %s", a.Name(), b.Name())
	}
}

func (o *Operand) mayLieOver(other *Operand) bool {
	return (o.Layer == other.Layer || other.Layer == "") && slices.Contains(o.over, other.Field)
}

// Needs is the memory that an operation takes while it runs, in bytes. Operations
// run in order and share it.
type Needs struct {
	Workspace int64
	Loss      int64 // logits, which a plan counts apart
}

// Most returns the larger of each.
func (n Needs) Most(m Needs) Needs {
	return Needs{Workspace: max(n.Workspace, m.Workspace), Loss: max(n.Loss, m.Loss)}
}

// Operations returns one zero value of each operation, for what has to know them
// all: a device's table, the conformance suite.
func Operations() []Operation {
	return []Operation{
		&Embed{}, &EmbedBackward{}, &Norm{}, &NormBackward{}, &Project{}, &ProjectBackward{}, &RowNorms{},
		&RoPE{}, &Attend{}, &AttendBackward{}, &Activate{}, &ActivateBackward{}, &Add{}, &AddBackward{}, &Clamp{}, &ClampBackward{},
		&HeadLoss{}, &GradNorm{}, &Optimize{}, &Zero{}, &Copy{},
	}
}

// A MissingError says that a device lacks an operation.
type MissingError struct{ Device, Operation string }

func (e *MissingError) Error() string {
	return fmt.Sprintf("the device %s has no operation %q", e.Device, e.Operation)
}
