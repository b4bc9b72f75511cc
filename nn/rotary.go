package nn

import "qlora/bindings"

// A Rotary is a table of rotary positions (RoPE), shared by layers.
type Rotary struct {
	Rope        Rope
	Dims        int  // rotated dimensions of each head: the first ones
	Interleaved bool // pairs are neighbors (2i, 2i+1) instead of halves (i, i+Dims/2)
	// Long replaces this table in micro-batches and generations whose longest
	// sequence has more than Switch tokens (longrope). nil: none.
	Long   *Rotary
	Switch int
	// Queries is a separate table for queries, which Llama 4 scales by position.
	// nil: the same as for keys.
	Queries *Rotary

	cos, sin bindings.Tensor // F32 [positions, Dims/2]
}

// at returns the table for a micro-batch whose longest sequence has longest tokens.
func (r *Rotary) at(longest int) *Rotary {
	if r.Long != nil && longest > r.Switch {
		return r.Long
	}
	return r
}

// queries returns the table for queries.
func (r *Rotary) queries() *Rotary {
	if r == nil || r.Queries == nil {
		return r
	}
	return r.Queries
}

// plan allocates r for sequences of up to positions tokens.
func (r *Rotary) plan(a *bindings.Arena, positions int) {
	r.cos, r.sin = a.New(bindings.F32, positions, r.Dims/2), a.New(bindings.F32, positions, r.Dims/2)
}

func (r *Rotary) load(dev bindings.Device) error {
	cos, sin := r.Rope.angles(r.cos.Rows, r.Dims)
	if err := dev.Write(r.cos, float32Bytes(cos)); err != nil {
		return err
	}
	return dev.Write(r.sin, float32Bytes(sin))
}

// rotation fills in op as RoPE of the heads of x, or its inverse; nil for a nil r.
func (p *pass) rotation(op *bindings.RoPE, r *Rotary, x bindings.Tensor, heads, headDim int, inverse bool) *bindings.RoPE {
	if r == nil {
		return nil
	}
	r = r.at(p.longest)
	return set(op, bindings.RoPE{
		X: x, Heads: heads, HeadDim: headDim, Positions: p.positions, Cos: r.cos, Sin: r.sin,
		Interleaved: r.Interleaved, Inverse: inverse,
	})
}

// A KeyBias is a bias on the scores by the key's position in its sequence (ALiBi,
// Press et al. 2022), shared by layers.
type KeyBias struct {
	Heads int
	At    func(head, place int) float32

	bias bindings.Tensor // F32 [Heads, positions]
}

func (b *KeyBias) plan(a *bindings.Arena, positions int) {
	b.bias = a.New(bindings.F32, b.Heads, positions)
}

func (b *KeyBias) load(dev bindings.Device) error {
	values := make([]float32, b.bias.Len())
	for h := range b.Heads {
		for j := range b.bias.Cols {
			values[h*b.bias.Cols+j] = b.At(h, j)
		}
	}
	return dev.Write(b.bias, float32Bytes(values))
}

// table returns the bias tensor; absent for a nil KeyBias.
func (b *KeyBias) table() bindings.Tensor {
	if b == nil {
		return bindings.Tensor{}
	}
	return b.bias
}

// switches reports whether growing from past to n tokens changes the RoPE table,
// which requires the keys to be recomputed.
func (m *Model) switches(past, n int) bool {
	for _, t := range m.tables {
		if r, ok := t.(*Rotary); ok && r.at(past) != r.at(n) {
			return true
		}
	}
	return false
}
