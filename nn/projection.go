package nn

import "qlora/bindings"

// A Projection is a linear layer of the transformer: its weight [out, in], its
// adapter and their gradients.
type Projection struct {
	bindings.Linear

	hasBias    bool
	transposed bool // the checkpoint stores [in, out]
	shard      *shard

	DA, DB         bindings.Tensor // gradients of the adapter
	DMagnitude     bindings.Tensor // gradient of its magnitude, if it has one
	DWeight, DBias bindings.Tensor // gradients of the base, if it is trained
}

// Dense returns a linear layer with weight [out, in].
func Dense(name string, out, in int, bias bool) *Projection {
	p := &Projection{hasBias: bias}
	p.Name, p.Weight.Out, p.Weight.In = name, out, in
	return p
}

// Conv1D returns a linear layer whose weight the checkpoint stores as [in, out], as
// GPT-2's. Quantization to 4 bits transposes it to [out, in] first.
func Conv1D(name string, out, in int) *Projection {
	p := Dense(name, out, in, true)
	p.transposed = true
	return p
}

// Transposed reports whether the checkpoint stores the weight as [in, out].
func (p *Projection) Transposed() bool { return p.transposed }

// part returns p's operands in a forward; its output goes to y.
func (p *Projection) part(y, xa bindings.Tensor) bindings.Part {
	return bindings.Part{Linear: &p.Linear, Y: y, XA: xa}
}

// back returns p's operands in a backward: dy, the gradient of its output, and the
// tensors that accumulate gradients.
func (p *Projection) back(dy, xa bindings.Tensor) bindings.PartBackward {
	return bindings.PartBackward{
		Linear: &p.Linear, DY: dy, XA: xa,
		DA: p.DA, DB: p.DB, DMagnitude: p.DMagnitude, DWeight: p.DWeight, DBias: p.DBias,
	}
}

// Derive computes the values that depend on the parameters: the row norms of an
// adapter with a magnitude.
func (p *Projection) Derive(dev bindings.Device) {
	if a := p.Adapter; a != nil && !a.Magnitude.Absent() {
		p.shard.need(dev)
		dev.Run(&bindings.RowNorms{Linear: &p.Linear})
	}
}
