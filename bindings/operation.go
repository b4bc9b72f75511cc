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
	*c = contract{op: op.Name(), operands: c.operands[:0], places: c.places[:0], written: c.written[:0], together: c.together}
	op.declare(c)
	c.checkPlaces()
	return c.err
}

// contracts holds what Check reuses: generation checks hundreds of operations for a token.
var contracts = sync.Pool{New: func() any { return new(contract) }}

// A place is where an operand lies in its block, and its number.
type place struct {
	block    *Block
	from, to int64
	operand  int32
	writes   bool
}

func (p *place) meets(q *place) bool { return p.block == q.block && p.from < q.to && q.from < p.to }

// checkPlaces rejects a written operand that shares bytes with another one, unless the
// operation allows them to be the same tensor.
func (c *contract) checkPlaces() {
	for i := range c.operands {
		o := &c.operands[i]
		p := place{block: o.Tensor.block, from: o.Tensor.offset, to: o.Tensor.end(), operand: int32(i), writes: o.Access != Reads}
		if p.writes {
			c.written = append(c.written, p)
		}
		c.places = append(c.places, p)
	}
	if len(c.written)*len(c.places) > manyPairs {
		c.checkSorted()
		return
	}
	for i := range c.places {
		b := &c.places[i]
		before := c.written
		if b.writes {
			before = c.places[:i]
		}
		for j := range before {
			if a := &before[j]; a.meets(b) && a.operand < b.operand {
				c.checkPair(a, b)
			}
		}
	}
}

// manyPairs is the number of pairs with a written operand up to which comparing all takes less
// time than sorting: all operations but an optimizer's have fewer.
const manyPairs = 1 << 12

// checkSorted does the same in the order of places, a block at a time: in its block, each kind of
// an optimizer's operands lies about in the order of the parameters, which a stable sort makes use of.
func (c *contract) checkSorted() {
	ascending := func(a, b place) int { return cmp.Compare(a.from, b.from) }
	for i := range c.places {
		block := c.places[i].block
		if block == nil {
			continue // has been compared
		}
		c.together = c.together[:0]
		for j := range c.places[i:] {
			if p := &c.places[i+j]; p.block == block {
				c.together = append(c.together, *p)
				p.block = nil
			}
		}
		if !slices.IsSortedFunc(c.together, ascending) {
			slices.SortStableFunc(c.together, ascending)
		}
		for j := range c.together {
			a := &c.together[j]
			for k := j + 1; k < len(c.together) && c.together[k].from < a.to; k++ {
				if b := &c.together[k]; a.writes || b.writes {
					c.checkPair(a, b)
				}
			}
		}
	}
}

// checkPair checks two places, of which one is written.
func (c *contract) checkPair(p, q *place) {
	a, b := &c.operands[min(p.operand, q.operand)], &c.operands[max(p.operand, q.operand)]
	if !a.Tensor.Overlaps(b.Tensor) {
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
		&RoPE{}, &Extend{}, &Attend{}, &AttendBackward{}, &Activate{}, &ActivateBackward{}, &Add{}, &AddBackward{}, &Clamp{}, &ClampBackward{},
		&HeadLoss{}, &LogProbs{}, &Preference{}, &Policy{}, &Fold{}, &Unfold{}, &Round{}, &GradNorm{}, &SquareSums{}, &Optimize{}, &ScaleRows{}, &Gather{}, &Zero{}, &Copy{}, &Transfer{}, &Await{},
	}
}

// A MissingError reports that a device lacks an operation.
type MissingError struct{ Device, Operation string }

func (e *MissingError) Error() string {
	return fmt.Sprintf("device %s does not implement operation %q", e.Device, e.Operation)
}
