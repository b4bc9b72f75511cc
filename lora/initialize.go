package lora

import (
	"fmt"
	"math"

	"qlora/bindings"
	"qlora/internal/lowrank"
	"qlora/internal/philox"
)

// initStream returns the random stream that initializes A (half 0) or B (half 1) of
// the adapter on projection index. The top bit separates it from the dropout streams,
// which are the indices themselves.
func initStream(index, half int) uint32 { return 1<<31 | uint32(2*index+half) }

// drawStream returns a second random stream of the adapter on projection index, for
// decompositions.
func drawStream(index int) uint32 { return 3<<30 | uint32(index) }

// Init initializes every adapter as PEFT does. A random element depends only on seed,
// the projection's index among all projections and the element's index in its tensor.
// Load the model first: some initializations read the base and subtract a part of it.
// Magnitudes start as the row norms, so they change nothing; modules that are trained
// whole keep the base's values.
func (a *Adapters) Init(dev bindings.Device, seed uint64) error {
	if !a.Config.Init.computable() {
		return fmt.Errorf("init_lora_weights is %q; a new adapter can have %s", a.Config.Init, computableNames)
	}
	if a.Config.Init.ChangesBase() {
		return a.begin(dev, seed)
	}
	for i := range a.factors {
		f := &a.factors[i]
		x := make([]float32, f.value.Len())
		switch {
		case f.ofEmbedding:
			if f.isB || a.Config.Init == InitRandom {
				philox.Normal(x, seed, f.stream, 1)
			}
		case a.Config.Init == InitOrthogonal:
			f.orthogonal(x, seed)
		case f.isB && a.Config.Init != InitRandom:
		// Zero: a new adapter does not change the model.
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
	for i := range a.biases {
		if err := a.biases[i].init(dev, a.Config.Init, seed); err != nil {
			return err
		}
	}
	for i := range a.magnitudes {
		m := &a.magnitudes[i]
		m.of.Derive(dev)
		dev.Run(&bindings.Copy{Dst: m.master, Src: m.of.Adapter.Norms})
		m.follow(dev)
	}
	a.derive(dev)
	return nil
}

// orthogonal fills x as PEFT's orthogonal_init: A from the even rows and B from the
// odd rows of one random orthogonal [r, r] matrix, so that B·A is zero and neither
// factor is.
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
