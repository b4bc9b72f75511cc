package lora

import (
	"errors"
	"fmt"

	"qlora/bindings"
	"qlora/internal/lowrank"
	"qlora/nn"
)

// A start is an adapter that is initialized from its base weight; the base stores the
// rest.
type start struct {
	of     *nn.Projection
	place  int // among all projections
	factor int // index of A among the factors; B is the next
}

// begin computes every adapter's start from the base's original weights and subtracts
// it from the base.
func (a *Adapters) begin(dev bindings.Device, seed uint64) error {
	return a.rewrite(dev, func(s *start, w lowrank.Matrix) error {
		f := a.decompose(s, w, seed)
		for i, x := range [][]float32{f.a, f.b} {
			if err := a.factors[s.factor+i].write(dev, x); err != nil {
				return err
			}
		}
		return a.keep(dev, s, f)
	})
}

// beginAgain subtracts every start from the base: the one in the adapter's file if
// known, else (PEFT's own files) the one computed from the original weights, as PEFT
// does on reading.
func (a *Adapters) beginAgain(dev bindings.Device, known bool) error {
	return a.rewrite(dev, func(s *start, w lowrank.Matrix) error {
		if !known {
			f := a.decompose(s, w, 0)
			return a.keep(dev, s, f)
		}
		if a.Config.Init == InitLoftQ {
			a.takeLoftQ(s, w)
			return nil
		}
		first, err := floats(dev, a.factors[s.factor].start)
		if err != nil {
			return err
		}
		second, err := floats(dev, a.factors[s.factor+1].start)
		if err != nil {
			return err
		}
		factors{a: first, b: second}.takeFrom(w, float64(s.of.Adapter.Scale))
		return nil
	})
}

// rewrite calls change for each base weight w, [out, in], and stores the result.
func (a *Adapters) rewrite(dev bindings.Device, change func(s *start, w lowrank.Matrix) error) error {
	for i := range a.starts {
		s := &a.starts[i]
		err := a.model.Rewrite(dev, s.of, func(original []float32) error {
			w := matrix(original, s.of.Weight.Out, s.of.Weight.In)
			if err := change(s, w); err != nil {
				return err
			}
			narrow(original, w)
			return nil
		})
		if err != nil {
			return fmt.Errorf("init_lora_weights %s: %w", a.Config.Init, err)
		}
		if a.progress != nil {
			a.progress(int64(i+1), int64(len(a.starts)))
		}
	}
	return nil
}

// keep stores the start of an adapter.
func (a *Adapters) keep(dev bindings.Device, s *start, f factors) error {
	return errors.Join(a.factors[s.factor].keep(dev, f.a), a.factors[s.factor+1].keep(dev, f.b))
}

// checkStarts returns an error for the first adapter that cannot be initialized as c
// asks.
func (a *Adapters) checkStarts() error {
	c := &a.Config
	for _, s := range a.starts {
		w, r := &s.of.Weight, s.of.Adapter.Rank()
		if !(s.of.Adapter.Scale > 0) {
			return fmt.Errorf("init_lora_weights is %q, which divides by the adapter's scale, and that of %s is %v", c.Init, s.of.Name, s.of.Adapter.Scale)
		}
		if side := min(w.Out, w.In); r > side {
			return fmt.Errorf("init_lora_weights is %q, whose rank is at most the smaller side of the weight, and %s [%d, %d] has rank %d", c.Init, s.of.Name, w.Out, w.In, r)
		}
		if c.Init == InitLoftQ && w.Quantized == nil {
			return fmt.Errorf("init_lora_weights is %q, which compensates 4-bit quantization, and %s is not in 4 bits: use method qlora", c.Init, s.of.Name)
		}
	}
	return nil
}

// InitBytes estimates the extra host memory, in bytes, that Init and Load need for
// adapters that are initialized from their base: some copies of the largest weight,
// most of them in float64.
func (a *Adapters) InitBytes() int64 {
	each := int64(32)
	if a.Config.Init == InitLoftQ {
		each = 48
	}
	most := int64(0)
	for _, s := range a.starts {
		most = max(most, each*int64(s.of.Weight.Out)*int64(s.of.Weight.In))
	}
	return most
}

func matrix(x []float32, rows, cols int) lowrank.Matrix {
	m := lowrank.New(rows, cols)
	for i, v := range x {
		m.Data[i] = float64(v)
	}
	return m
}

func narrow(dst []float32, m lowrank.Matrix) {
	for i, v := range m.Data {
		dst[i] = float32(v)
	}
}

func narrowed(m lowrank.Matrix) []float32 {
	x := make([]float32, len(m.Data))
	narrow(x, m)
	return x
}
