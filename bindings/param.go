package bindings

import "qlora/internal/dynamic8"

// A Role is a parameter's role in the model, by which optimizers group parameters.
type Role uint8

// The roles.
const (
	RoleMatrix        Role = iota // a linear layer's weight, [out, in]
	RoleEmbedding                 // [vocabulary, hidden]
	RoleNorm                      // a norm's weight
	RoleLayerNorm                 // a LayerNorm's weight, without weight decay under LoRA+
	RoleBias                      // a linear layer's or a norm's bias
	RoleLoraA                     // an adapter's A, [r, in]
	RoleLoraB                     // an adapter's B, [out, r]
	RoleMagnitude                 // DoRA's magnitude, [out]
	RoleLoraEmbedding             // A and B of an adapter on an embedding
)

// A Param is a trained tensor with its gradient and optimizer state.
type Param struct {
	Name   string
	Role   Role
	Value  Tensor  // read by the forward pass
	Master Tensor  // F32, updated by the optimizer; the same tensor as Value if that is F32
	Grad   Tensor  // F32
	M, V   Moment  // running means of the gradient and its square; absent if the rule has none
	Decay  bool    // weight decay applies
	Rate   float64 // factor on the learning rate, above 0: 1 except under LoRA+
}

// A Moment is an optimizer's state for a parameter, in float32 or in 8 bits (Dettmers
// et al. 2022). The 8-bit codes are package dynamic8's, signed for a first moment and
// unsigned for a second, in blocks of 256 consecutive elements:
//
//	m[i] = value of Values[i] · Absmax[i/256]
//
// A moment of zeros is all zero bytes in both encodings.
type Moment struct {
	Values Tensor // F32 or U8, shaped like the parameter
	Absmax Tensor // F32 [1, blocks]; absent if Values is F32
}

// Absent reports whether m is the zero Moment: none is kept.
func (m Moment) Absent() bool { return m.Values.Absent() }

// OptimizerState selects the optimizer and the encoding of its moments.
type OptimizerState struct {
	Rule     Rule
	EightBit bool // keep moments in 8 bits,
	Smallest int  // except for parameters with fewer elements than this
	// Parts says that moments are kept, and masters updated, in [OptimizerState.Part]s. The
	// moments of a whole parameter then have no place; a master that is no Value is its Grad, for
	// loading and saving between steps.
	Parts bool
}

// Moments allocates the moments of a [rows, cols] parameter. exempt forces float32, as
// bitsandbytes does for embeddings.
func (s OptimizerState) Moments(a *Arena, rows, cols int, exempt bool) (m, v Moment) {
	narrow := s.EightBit && rows*cols >= s.Smallest && !exempt
	if s.Parts {
		a = NewArena()
	}
	return s.moments(a, rows, cols, narrow)
}

// Part returns the elements [from, to) of a parameter, a row, with a master and moments of its
// own in a. from is a multiple of 256, so that blocks of 8-bit moments stay whole.
func (s OptimizerState) Part(a *Arena, whole Param, from, to int) Param {
	p := whole
	for _, t := range []*Tensor{&p.Value, &p.Master, &p.Grad} {
		*t = t.Reshape(1, t.Len()).Columns(from, to)
	}
	p.M, p.V = s.moments(a, 1, to-from, whole.M.Values.DType == U8)
	if whole.Master != whole.Value {
		p.Master = a.New(F32, 1, to-from)
	}
	return p
}

func (s OptimizerState) moments(a *Arena, rows, cols int, narrow bool) (m, v Moment) {
	place := func() Moment {
		if narrow {
			return Moment{Values: a.New(U8, rows, cols), Absmax: a.New(F32, 1, dynamic8.Blocks(rows*cols))}
		}
		return Moment{Values: a.New(F32, rows, cols)}
	}
	first, second := s.Rule.Moments()
	if first {
		m = place()
	}
	if second {
		v = place()
	}
	return m, v
}

// Decays reports whether weight decay applies to parameters of the role, as in
// Hugging Face's Trainer: to all but norms and biases.
func (r Role) Decays() bool { return r != RoleNorm && r != RoleLayerNorm && r != RoleBias }
