package bindings

import (
	"fmt"
	"slices"
	"strings"
)

// A contract collects an operation's operands and keeps the first error. Its methods
// continue after an error, so the list is complete.
type contract struct {
	op       string
	layer    string // the layer whose operands are being declared
	operands []Operand
	places   []place // of the operands
	written  []place // of those that are written
	together []place // of those in one block
	none     Operand // what methods return for an absent operand
	err      error
}

func (c *contract) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(c.op+": "+format, args...)
	}
}

// wrong records an error of a field.
func (c *contract) wrong(field, format string, args ...any) {
	if c.err == nil {
		c.fail("%s "+format, append([]any{fieldName(c.layer, field)}, args...)...)
	}
}

func (c *contract) that(ok bool, format string, args ...any) {
	if !ok {
		c.fail(format, args...)
	}
}

// A form is the requirement on an operand.
type form struct {
	rows, cols int
	any        bool // of any shape
	vector     bool // cols elements, as a row or a column
	optional   bool // may be absent
	view       bool // may be a view of columns
	host       bool // may be in the host's memory
	types      typeSet
}

// A typeSet is a set of element types, a bit for each.
type typeSet uint8

func typesOf(types ...DType) typeSet {
	var s typeSet
	for _, t := range types {
		s |= 1 << t
	}
	return s
}

func (s typeSet) has(t DType) bool { return s>>t&1 != 0 }

// String lists the types as "[F32 BF16]".
func (s typeSet) String() string {
	var all []string
	for t := range DType(len(dtypes)) {
		if s.has(t) {
			all = append(all, t.String())
		}
	}
	return "[" + strings.Join(all, " ") + "]"
}

// floats are the element types of weights.
var floats = []DType{F32, BF16, F16}

func matrix(rows, cols int, types ...DType) form {
	return form{rows: rows, cols: cols, types: typesOf(types...)}
}

func vector(n int, types ...DType) form { return form{cols: n, vector: true, types: typesOf(types...)} }

func (f form) orAbsent() form { f.optional = true; return f }
func (f form) asView() form   { f.view = true; return f }

func (c *contract) reads(field string, t Tensor, f form) *Operand {
	return c.operand(field, t, Reads, f)
}

func (c *contract) writes(field string, t Tensor, f form) *Operand {
	return c.operand(field, t, Writes, f)
}

func (c *contract) updates(field string, t Tensor, f form) *Operand {
	return c.operand(field, t, Updates, f)
}

// leads declares t as read. t defines the operation's type of activations; leads
// returns a function for forms of that type.
func (c *contract) leads(field string, t Tensor) func(rows, cols int) form {
	c.operand(field, t, Reads, form{any: true, view: true, types: typesOf(F32, BF16)}).Activation = true
	return alike[t.DType]
}

// alike has the function for forms of each type of activations. They are made once: every
// operation asks for one.
var alike = func() (of [len(dtypes)]func(rows, cols int) form) {
	for d := range of {
		of[d] = func(rows, cols int) form { return matrix(rows, cols, DType(d)) }
	}
	return of
}()

// dense rejects a view of columns.
func (c *contract) dense(field string, t Tensor) {
	if !t.Absent() && !t.Contiguous() {
		c.wrong(field, "is a view of columns; it must be contiguous")
	}
}

// mayBe allows o to be the same tensor as one of the other fields, at most two.
func (o *Operand) mayBe(fields ...string) *Operand {
	copy(o.over[:], fields)
	return o
}

// operand checks t against f and adds it to the list if it is present.
func (c *contract) operand(field string, t Tensor, access Access, f form) *Operand {
	if t.Absent() {
		switch {
		case f.optional:
		case f.any:
			c.wrong(field, "is absent")
		case f.vector:
			c.wrong(field, "is absent; it must have %d elements", f.cols)
		default:
			c.wrong(field, "is absent; it must be [%d, %d]", f.rows, f.cols)
		}
		return &c.none
	}
	switch {
	case f.any:
	case f.vector && (t.Rows != 1 && t.Cols != 1 || t.Len() != f.cols):
		c.wrong(field, "is %v; it must be a vector of %d elements", t, f.cols)
	case !f.vector && (t.Rows != f.rows || t.Cols != f.cols):
		c.wrong(field, "is %v; it must be [%d, %d]", t, f.rows, f.cols)
	}
	if !f.types.has(t.DType) {
		c.wrong(field, "is %v; its type must be one of %v", t, f.types)
	}
	if !f.view {
		c.dense(field, t)
	}
	if t.OnHost() && !f.host {
		c.wrong(field, "is in the host's memory")
	}
	c.operands = append(c.operands, Operand{Layer: c.layer, Field: field, Tensor: t, Access: access})
	return &c.operands[len(c.operands)-1]
}

// weight declares one [out, in] matrix as read.
func (c *contract) weight(w *Weight) {
	switch {
	case w.EightBit != nil:
		c.eightBit(w)
	case w.Quantized != nil:
		c.quantized(w, Reads)
	default:
		c.reads("Weight", w.Dense, matrix(w.Out, w.In, floats...))
	}
}

func (c *contract) eightBit(w *Weight) {
	if !w.Dense.Absent() || w.Quantized != nil {
		c.wrong("Weight", "is in 8 bits, and dense or in 4 bits too")
	}
	q, n := w.EightBit, w.Out*w.In
	if q.BlockSize <= 0 {
		c.wrong("Weight", "has a block size of %d", q.BlockSize)
		return
	}
	c.reads("Weight.Codes", q.Codes, vector(n, U8))
	c.reads("Weight.Scales", q.Scales, vector((n+q.BlockSize-1)/q.BlockSize, F16))
}

func (c *contract) quantized(w *Weight, access Access) {
	if !w.Dense.Absent() {
		c.wrong("Weight", "is both dense and in 4 bits")
	}
	q := w.Quantized
	n := w.Out * w.In
	if q.BlockSize <= 0 || q.BlockSize%2 != 0 {
		c.wrong("Weight", "has a block size of %d; it must be even", q.BlockSize)
		return
	}
	blocks := (n + q.BlockSize - 1) / q.BlockSize
	c.operand("Weight.Codes", q.Codes, access, vector((n+1)/2, U8))
	if !q.Double() {
		c.operand("Weight.Absmax", q.Absmax, access, vector(blocks, F32))
		return
	}
	if q.NestedBlockSize <= 0 {
		c.wrong("Weight", "has a nested block size of %d", q.NestedBlockSize)
		return
	}
	c.operand("Weight.AbsmaxCodes", q.AbsmaxCodes, access, vector(blocks, U8))
	c.operand("Weight.NestedAbsmax", q.NestedAbsmax, access, vector((blocks+q.NestedBlockSize-1)/q.NestedBlockSize, F32))
	c.operand("Weight.Map", q.Map, access, vector(256, F32))
	c.operand("Weight.Offset", q.Offset, access, vector(1, F32))
}

// sequences declares s as read, its tensor by the name of device, and checks that it divides rows rows.
func (c *contract) sequences(field, device string, s *Sequences, rows int) {
	switch n := len(s.Starts); {
	case n < 2:
		c.wrong(field, "has no sequence")
	case s.Starts[0] != 0 || int(s.Starts[n-1]) != rows:
		c.wrong(field, "goes from row %d to %d; it must go from 0 to %d", s.Starts[0], s.Starts[n-1], rows)
	case !slices.IsSorted(s.Starts):
		c.wrong(field, "is not in ascending order")
	case s.Within > 0 && s.Longest() > s.Within:
		c.wrong(field, "has a sequence of %d tokens, and none is to exceed %d", s.Longest(), s.Within)
	case !s.Device.Absent():
		if s.Device.Len() < n {
			c.wrong(device, "has %d elements; it must have %d", s.Device.Len(), n)
		}
		c.reads(device, s.Device, form{any: true, types: typesOf(I32)})
	}
}

// probability checks that p is a dropout probability.
func (c *contract) probability(field string, p float32) {
	if !(p >= 0 && p < 1) {
		c.wrong(field, "is %g; it must be in [0, 1)", p)
	}
}
