package nn

import "qlora/bindings"

// A Projection is a linear layer of the transformer: its weight [out, in], its
// adapter, and the gradients of what is trained of it.
type Projection struct {
	bindings.Linear

	hasBias    bool
	transposed bool // the checkpoint has [in, out]

	DA, DB         bindings.Tensor // of the adapter
	DMagnitude     bindings.Tensor // of its magnitude, where it has one
	DWeight, DBias bindings.Tensor // of the base, where that is trained
}

// Dense returns the linear layer called name, [out, in].
func Dense(name string, out, in int, bias bool) *Projection {
	p := &Projection{hasBias: bias}
	p.Name, p.Weight.Out, p.Weight.In = name, out, in
	return p
}

// Conv1D returns a linear layer whose weight the checkpoint has as [in, out], as
// GPT-2's. In 4 bits it is quantized as [out, in].
func Conv1D(name string, out, in int) *Projection {
	p := Dense(name, out, in, true)
	p.transposed = true
	return p
}

// Transposed reports whether the checkpoint has the weight as [in, out].
func (p *Projection) Transposed() bool { return p.transposed }

// part returns p's side of a forward: its output goes to y.
func (p *Projection) part(y, xa bindings.Tensor) bindings.Part {
	return bindings.Part{Linear: &p.Linear, Y: y, XA: xa}
}

// back returns p's side of a backward: the gradient dy of its output, and where
// what is trained collects its own.
func (p *Projection) back(dy, xa bindings.Tensor) bindings.PartBackward {
	return bindings.PartBackward{
		Linear: &p.Linear, DY: dy, XA: xa,
		DA: p.DA, DB: p.DB, DMagnitude: p.DMagnitude, DWeight: p.DWeight, DBias: p.DBias,
	}
}

// Derive computes what the operations read besides the parameters and follows from
// them: the row norms of an adapter with a magnitude.
func (p *Projection) Derive(dev bindings.Device) {
	if a := p.Adapter; a != nil && !a.Magnitude.Absent() {
		dev.Run(&bindings.RowNorms{Linear: &p.Linear})
	}
}
