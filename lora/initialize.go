package lora

import (
	"fmt"
	"math"

	"qlora/bindings"
	"qlora/internal/lowrank"
	"qlora/internal/philox"
)

// initStream is the random stream that A (half 0) or B (half 1) of the adapter
// on projection index begins with. The top bit keeps it apart from the streams
// of dropout, which are the indices themselves.
func initStream(index, half int) uint32 { return 1<<31 | uint32(2*index+half) }

// drawStream is another one of the adapter on projection index.
func drawStream(index int) uint32 { return 3<<30 | uint32(index) }

// Init initializes every adapter as PEFT does. A random element is a function of seed,
// the projection's place among all projections and the element's place in its tensor. It
// comes after the model's Load: some adapters start as a part of the base, which is
// subtracted from it. Magnitudes start as the row norms, so that they change nothing;
// modules that are trained themselves are left as the base has them.
func (a *Adapters) Init(dev bindings.Device, seed uint64) error {
	if !a.Config.Init.computable() {
		return fmt.Errorf("init_lora_weights is %q; a new adapter can begin with %s", a.Config.Init, computableNames)
	}
	if a.Config.Init.ChangesBase() {
		return a.begin(dev, seed)
	}
	for i := range a.factors {
		f := &a.factors[i]
		x := make([]float32, f.value.Len())
		switch {
		case a.Config.Init == InitOrthogonal:
			f.orthogonal(x, seed)
		case f.isB && a.Config.Init != InitRandom:
			// Zero: a new adapter changes nothing.
		case a.Config.Init == InitGaussian:
			philox.Normal(x, seed, f.stream, 1/float32(f.value.Rows))
		default:
			// torch's kaiming_uniform_ with a = sqrt(5), over the fan-in.
			bound := float32(1 / math.Sqrt(float64(f.value.Cols)))
			philox.Uniform(x, seed, f.stream, -bound, bound)
		}
		if err := f.write(dev, x); err != nil {
			return err
		}
	}
	for i := range a.magnitudes {
		m := &a.magnitudes[i]
		m.of.Derive(dev)
		dev.Run(&bindings.Copy{Dst: m.master, Src: m.of.Adapter.Norms})
		m.follow(dev)
	}
	return nil
}

// orthogonal fills x as PEFT's orthogonal_init: A from the even rows and B from
// the odd ones of one random orthogonal [r, r] matrix, so that B·A is zero while
// neither is.
//
//	A = (Qeven)ᵀ·N/10    B = N'·Qodd/10    N [r/2, in] and N' [out, r/2] normal
func (f *factor) orthogonal(x []float32, seed uint64) {
	r, other, from := f.value.Rows, f.value.Cols, 0
	if f.isB {
		r, other, from = f.value.Cols, f.value.Rows, 1
	}
	q := lowrank.New(r, r)
	drawn(seed, int(f.stream&^(1<<31)/2))(q.Data)
	q = lowrank.Orthonormal(q)
	half := lowrank.New(r/2, r) // every second row
	for i := range half.Rows {
		copy(half.Data[i*r:(i+1)*r], q.Data[(2*i+from)*r:])
	}
	normal := make([]float32, other*r/2)
	philox.Normal(normal, seed, f.stream, 0.1)
	product := lowrank.New(other, r)
	product.MulAdd(1, matrix(normal, other, r/2), half)
	if !f.isB {
		product = product.T()
	}
	narrow(x, product)
}
