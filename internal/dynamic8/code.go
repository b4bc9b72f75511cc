// Package dynamic8 implements the 8-bit "dynamic" code of Dettmers et al. 2022 (8-bit
// Optimizers via Block-wise Quantization, arXiv 2110.02861) as bitsandbytes does: a
// block of numbers becomes an absmax and, for each number, the code of a value in [-1,
// 1]. The code's resolution is relative for small values and absolute for large ones. It
// stores the scales of 4-bit weights and the moments of 8-bit optimizers.
package dynamic8

import (
	"math"
	"sync"
)

// BlockSize is the number of elements per absmax in bitsandbytes.
const BlockSize = 256

// Blocks returns the number of blocks of n elements; the last may be short.
func Blocks(n int) int { return (n + BlockSize - 1) / BlockSize }

// A Code maps codes to values and back. There are two: Signed and Unsigned.
type Code struct {
	values [256]float32
	steps  [steps]byte
}

// steps is the number of values in [-1, 1] that bitsandbytes' CPU back end distinguishes
// when it looks up a code (csrc/cpu_ops.cpp, build_quantize_lut). CUDA searches for the
// nearest value of the map; about one code in 300 then differs by one.
const steps = 65536

// Signed returns the code with values of both signs, used for scales minus their mean
// and for first moments.
var Signed = sync.OnceValue(func() *Code { return newCode(true) })

// Unsigned returns the code without negative values and with twice as many positive
// ones, used for second moments.
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

// Values returns the value of each code for an absmax of 1, ascending. Callers must not
// modify it.
func (c *Code) Values() *[256]float32 { return &c.values }

// Steps returns the code of each of the evenly spaced numbers from -1 to 1 that Quantize
// distinguishes. Callers must not modify it.
func (c *Code) Steps() *[steps]byte { return &c.steps }

// Quantize writes the code of each number of a block and returns the block's absmax. The
// codes equal those of bitsandbytes 0.50 on the CPU. The codes of a block of zeros are
// 0. A NaN does not count in the absmax and gets the code of -1.
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

// step returns the step nearest to x, clamped to [-1, 1]; NaN counts as -1. The product
// and sum are rounded once: the compiler of bitsandbytes fuses them.
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

// Expand writes the values of a block's codes, times absmax.
func (c *Code) Expand(x []float32, codes []byte, absmax float32) {
	codes = codes[:len(x)]
	for i, code := range codes {
		x[i] = c.values[code] * absmax
	}
}
