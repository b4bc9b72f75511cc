package bindings

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
)

// An Operation is one unit of a device's work. Its fields are the tensors it reads and
// writes and its parameters. Operations are pointers to this package's operation types;
// forward and backward are separate operations.
//
// An operation lists its operands once. The checks of shapes and overlaps, the memory
// that a device's kernels may access, and the results of a dry run come from that list.
type Operation interface {
	// Name returns the operation's name for messages, as "attend backward".
	Name() string
	// declare lists the operands and checks them.
	declare(*contract)
}

// Access is an operation's use of an operand.
type Access uint8

// The kinds of access.
const (
	Reads   Access = iota
	Writes         // without reading the old values
	Updates        // reads and writes
)

// An Operand is one tensor of an operation.
type Operand struct {
	Layer      string // the layer or parameter whose it is, where the operation has several; else ""
	Field      string // "X", "A"
	Tensor     Tensor
	Access     Access
	Activation bool // has the device's type of activations

	over [2]string // fields, of the same layer or of none, that may be the same tensor
}

// Name returns the operand's name for messages, as "model.layers.0.mlp.up_proj: A".
func (o *Operand) Name() string { return fieldName(o.Layer, o.Field) }

func fieldName(layer, field string) string {
	if layer == "" {
		return field
	}
	return layer + ": " + field
}

// Operands returns the present tensors of op.
func Operands(op Operation) []Operand {
	c := contract{}
	op.declare(&c)
	return c.operands
}

// Check returns the first error of op: a shape, an element type, a parameter out of
// range, or an output that overlaps another operand. Devices check before they
// compute; then all accesses are in bounds, except by ids, labels and positions, which
// are data.
func Check(op Operation) error {
	c := contracts.Get().(*contract)
	defer contracts.Put(c)
	*c = contract{op: op.Name(), operands: c.operands[:0]}
	op.declare(c)
	c.checkPlaces()
	return c.err
}

// contracts holds what Check reuses: generation checks hundreds of operations for a token.
var contracts = sync.Pool{New: func() any { return new(contract) }}

// checkPlaces rejects a written operand that shares bytes with another one, unless the
// operation allows them to be the same tensor.
func (c *contract) checkPlaces() {
	if len(c.operands) <= fewOperands {
		c.checkPairs()
		return
	}
	slices.SortFunc(c.operands, func(a, b Operand) int { return cmp.Compare(a.Tensor.offset, b.Tensor.offset) })
	for i := range c.operands {
		a := &c.operands[i]
		for j := i + 1; j < len(c.operands) && c.operands[j].Tensor.offset < a.Tensor.end(); j++ {
			c.checkPair(a, &c.operands[j])
		}
	}
}

// fewOperands is the number of operands up to which comparing all pairs takes less time than
// sorting: all operations of a generated token have fewer.
const fewOperands = 32

// checkPairs does the same without sorting.
func (c *contract) checkPairs() {
	for i := range c.operands {
		b := &c.operands[i]
		from, to := b.Tensor.offset, b.Tensor.end()
		for j := range c.operands[:i] {
			if a := &c.operands[j]; a.Tensor.offset < to && (a.Access != Reads || b.Access != Reads) && from < a.Tensor.end() {
				c.checkPair(a, b)
			}
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
		c.fail("%s overlaps %s", a.Name(), b.Name())
	}
}

func (o *Operand) mayLieOver(other *Operand) bool {
	return (o.Layer == other.Layer || other.Layer == "") && slices.Contains(o.over[:], other.Field)
}

// Needs is the scratch memory of an operation in bytes. Operations run in order and
// share it.
type Needs struct {
	Workspace int64
	Loss      int64 // logits, which a plan counts separately
}

// Most returns the maximum of n and m, field by field.
func (n Needs) Most(m Needs) Needs {
	return Needs{Workspace: max(n.Workspace, m.Workspace), Loss: max(n.Loss, m.Loss)}
}

// Operations returns a zero value of each operation, for tests of completeness.
func Operations() []Operation {
	return []Operation{
		&Embed{}, &EmbedBackward{}, &Norm{}, &NormBackward{}, &Project{}, &ProjectBackward{}, &RowNorms{},
		&RoPE{}, &Attend{}, &AttendBackward{}, &Activate{}, &ActivateBackward{}, &Add{}, &AddBackward{}, &Clamp{}, &ClampBackward{},
		&HeadLoss{}, &LogProbs{}, &Preference{}, &Policy{}, &Fold{}, &Unfold{}, &Round{}, &GradNorm{}, &SquareSums{}, &Optimize{}, &ScaleRows{}, &Gather{}, &Zero{}, &Copy{}, &Transfer{}, &Await{},
	}
}

// A MissingError reports that a device lacks an operation.
type MissingError struct{ Device, Operation string }

func (e *MissingError) Error() string {
	return fmt.Sprintf("device %s does not implement operation %q", e.Device, e.Operation)
}
