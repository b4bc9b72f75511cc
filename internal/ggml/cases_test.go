package ggml

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
)

// A sample is 256 elements, whole blocks of every type.
type sample struct {
	name string
	x    [256]float32
}

// samples returns the inputs of the recorded blocks. They depend on integers and exact
// operations only, so they are the same on every machine.
func samples() []sample {
	r := rand.New(rand.NewPCG(1, 2))
	bell := func() float32 { // near to normal, a multiple of 2^-16
		sum := 0
		for range 12 {
			sum += r.IntN(1 << 16)
		}
		return float32(sum-6<<16) / (1 << 16)
	}
	make1 := func(name string, element func(i int) float32) sample {
		s := sample{name: name}
		for i := range s.x {
			s.x[i] = element(i)
		}
		return s
	}
	return []sample{
		make1("zeros", func(int) float32 { return 0 }),
		make1("constant", func(int) float32 { return 0.3125 }),
		make1("negative constant", func(int) float32 { return -3 }),
		make1("ramp", func(i int) float32 { return float32(i-128) / 64 }),
		make1("ties", func(i int) float32 { return float32(i%31-15) / 2 }),
		make1("spike", func(i int) float32 {
			if i == 77 {
				return -1000
			}
			return float32(i%5-2) / 1024
		}),
		make1("weights", func(int) float32 { return bell() / 32 }),
		make1("other weights", func(int) float32 { return bell() / 8 }),
		make1("heavy tails", func(int) float32 { v := bell(); return v * v * v }),
		make1("positive", func(int) float32 { return abs(bell()) + 1 }),
		make1("negative", func(int) float32 { return -abs(bell()) - 1 }),
		make1("every other group is zero", func(i int) float32 { return float32(i/16%2) * bell() }),
		make1("large", func(int) float32 { return bell() * 8192 }),
		make1("tiny", func(int) float32 { return bell() * 0x1p-20 }),
		make1("scale is a subnormal binary16", func(int) float32 { return bell() * 0x1p-26 }),
		make1("below the epsilon", func(int) float32 { return bell() * 0x1p-60 }),
		make1("subnormal", func(i int) float32 { return math.Float32frombits(uint32(i)<<31 | uint32(r.IntN(1<<12))) }),
		make1("groups of different scales", func(i int) float32 { return bell() * float32(math.Ldexp(1, i/16-12)) }),
	}
}

// randomBlocks returns bytes of whole blocks with 256 elements each, whose binary16 scales are
// finite.
func randomBlocks(r *rand.Rand, t Type, samples int) []byte {
	f := t.format()
	b := make([]byte, samples*256/f.elements*f.bytes)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	scales := f.scales
	switch t {
	case TQ1_0, TQ2_0:
		scales = []int{f.bytes - 2}
	case Q1_0, Q2_0:
		scales = []int{0}
	case F32, F64, BF16:
		for i := f.bytes - 1; i < len(b); i += f.bytes {
			b[i] &= 0xbf // the exponent is not all ones
		}
	}
	for at := 0; at < len(b); at += f.bytes {
		for _, s := range scales {
			h := binary.LittleEndian.Uint16(b[at+s:])
			binary.LittleEndian.PutUint16(b[at+s:], h&0xbfff)
		}
	}
	return b
}
