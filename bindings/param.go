package bindings

import "qlora/internal/dynamic8"

// A Role says what a parameter is to the model, by which optimizers group.
type Role uint8

// The roles.
const (
	RoleMatrix    Role = iota // a linear layer's weight, [out, in]
	RoleEmbedding             // [vocabulary, hidden]
	RoleNorm                  // a norm's weight
	RoleLayerNorm             // a LayerNorm's weight, which LoRA+ does not let decay
	RoleBias                  // of a linear layer or a norm
	RoleLoraA                 // an adapter's A, [r, in]
	RoleLoraB                 // an adapter's B, [out, r]
	RoleMagnitude             // DoRA's, [out]
)

// A Param is something trained.
type Param struct {
	Name   string
	Role   Role
	Value  Tensor  // as the forward pass reads it
	Master Tensor  // F32, what the optimizer moves; the same tensor as Value where that is F32
	Grad   Tensor  // F32
	M, V   Moment  // running means of the gradient and of its square; absent where the rule has none
	Decay  bool    // whether weight decay applies
	Rate   float64 // what the step's learning rate is multiplied by: 1, but for LoRA+; above 0
}

// A Moment is what an optimizer remembers of a parameter: in float32, or in 8 bits
// as Dettmers et al. 2022 have it. Those are codes of package dynamic8, the signed
// ones for a first moment and the unsigned ones for a second, in blocks of 256
// consecutive elements:
//
//	m[i] = value of Values[i] · Absmax[i/256]
//
// A moment of zeros is all zero bytes in both.
type Moment struct {
	Values Tensor // F32 or U8, in the shape of the parameter
	Absmax Tensor // F32 [1, blocks]; absent where Values is F32
}

// Absent reports whether there is no such moment.
func (m Moment) Absent() bool { return m.Values.Absent() }

// OptimizerState says which moments of the parameters a run's optimizer keeps, and how.
type OptimizerState struct {
	Rule     Rule
	EightBit bool // moments are kept in 8 bits
	Smallest int  // but for parameters of fewer elements than this
}

// Moments lays out the moments of a [rows, cols] parameter. exempt keeps them in
// float32 in any case, as bitsandbytes does for embeddings.
func (s OptimizerState) Moments(a *Arena, rows, cols int, exempt bool) (m, v Moment) {
	place := func() Moment {
		if n := rows * cols; s.EightBit && n >= s.Smallest && !exempt {
			return Moment{Values: a.New(U8, rows, cols), Absmax: a.New(F32, 1, dynamic8.Blocks(n))}
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
