package lora

import (
	"fmt"
	"math"

	"qlora/bindings"
	"qlora/internal/philox"
)

// initStream is the random stream that A (half 0) or B (half 1) of the adapter
// on projection index begins with. The top bit keeps it apart from the streams
// of dropout, which are the indices themselves.
func initStream(index, half int) uint32 { return 1<<31 | uint32(2*index+half) }

// Init gives every adapter the values that a new one begins with, in PEFT's
// distributions. An element is a function of seed, the projection's place among
// all projections and the element's place in its tensor. Magnitudes begin as the
// row norms, so that they change nothing; modules that are trained themselves are
// left as the base has them.
func (a *Adapters) Init(dev bindings.Device, seed uint64) error {
	if !a.Config.Init.computable() {
		return fmt.Errorf("init_lora_weights is %q; a new adapter can begin with true, gaussian and false", a.Config.Init)
	}
	for i := range a.factors {
		f := &a.factors[i]
		x := make([]float32, f.value.Len())
		switch {
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
		dev.Copy(m.master, m.of.Adapter.Norms)
		m.follow(dev)
	}
	return nil
}
