// Package dynamic8 is the 8-bit "dynamic" code of Dettmers et al. 2022 (8-bit
// Optimizers via Block-wise Quantization, arXiv 2110.02861) as bitsandbytes has it:
// a block of numbers becomes an absmax and, for each number, the code of a value in
// [-1, 1]. Small values are told apart by their size, large ones by their place.
// The scales of 4-bit weights and the moments of 8-bit optimizers are kept so.
package dynamic8

import (
	"math"
	"sync"
)

// BlockSize is how many numbers share an absmax in bitsandbytes.
const BlockSize = 256

// Blocks is the number of blocks that n numbers make, the last one perhaps short.
func Blocks(n int) int { return (n + BlockSize - 1) / BlockSize }

// A Code is one of the two maps from codes to values, and the way back.
type Code struct {
	values [256]float32
	steps  [steps]byte
}

// steps is how many values in [-1, 1] bitsandbytes' CPU back end tells apart when
// it looks a code up (csrc/cpu_ops.cpp, build_quantize_lut). CUDA searches for the
// nearest value of the map; about one code in 300 is then the neighbour's.
const steps = 65536

// Signed has values of both signs: the code of scales less their mean, and of first
// moments.
var Signed = sync.OnceValue(func() *Code { return newCode(true) })

// Unsigned has no value below 0 and twice as many above: the code of second moments.
var Unsigned = sync.OnceValue(func() *Code { return newCode(false) })

func newCode(signed bool) *Code {
	c := &Code{values: dynamicMap(signed)}
	code := 0
	for i := range c.steps {
		x := -1 + float32(2*i)/(steps-1)
		for code < 255 && 0.5*(c.values[code]+c.values[code+1]) < x {
			code++
		}
		c.steps[i] = byte(code)
	}
	return c
}

// Values is the value of each code for an absmax of 1, ascending. It is shared: not
// to be changed.
func (c *Code) Values() *[256]float32 { return &c.values }

// Quantize writes the code of each number of a block as bitsandbytes 0.50 does on
// the CPU, and gives the block's absmax. The codes of a block of zeros are 0. A NaN
// has no part in the absmax, and the code of -1.
func (c *Code) Quantize(codes []byte, x []float32) float32 {
	var absmax float32
	for _, v := range x {
		if a := float32(math.Abs(float64(v))); a > absmax {
			absmax = a
		}
	}
	codes = codes[:len(x)]
	if absmax == 0 {
		clear(codes)
		return 0
	}
	inverse := 1 / absmax
	for i, v := range x {
		codes[i] = c.steps[step(v*inverse)]
	}
	return absmax
}

// step is the step that x, held within [-1, 1], is nearest to; NaN is as -1. Its
// number is rounded once: the compiler of bitsandbytes fuses it.
func step(x float32) uint16 {
	switch {
	case x > 1:
		x = 1
	case !(x >= -1):
		x = -1
	}
	half := (x + 1) * 0.5
	return uint16(float32(float64(half)*(steps-1) + 0.5))
}

// Expand writes the numbers that the codes of a block stand for.
func (c *Code) Expand(x []float32, codes []byte, absmax float32) {
	codes = codes[:len(x)]
	for i, code := range codes {
		x[i] = c.values[code] * absmax
	}
}
