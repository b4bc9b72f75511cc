package nf4

import (
	"math"
	"slices"
)

// NestedBlockSize is the block size that bitsandbytes quantizes absmax with.
const NestedBlockSize = 256

// Nested is a tensor's absmax, quantized to 8 bits ("double quantization").
type Nested struct {
	Codes     []byte       // one per block of weights
	Absmax    []float32    // one per BlockSize codes
	Map       [256]float32 // the value of each code, for an absmax of 1
	Offset    float32      // the mean, which was taken off first
	BlockSize int
}

// Nest quantizes the absmax of a whole tensor as bitsandbytes 0.50 does on the
// CPU, code for code. On CUDA it searches for the nearest value of the map, and
// about one code in 300 is the neighbour's.
func Nest(absmax []float32) Nested {
	n := Nested{
		Codes:     make([]byte, len(absmax)),
		Absmax:    make([]float32, (len(absmax)+NestedBlockSize-1)/NestedBlockSize),
		Map:       DynamicMap(true),
		Offset:    mean(absmax),
		BlockSize: NestedBlockSize,
	}
	midpoints := midpointsOf(&n.Map)
	for b := range n.Absmax {
		start := b * n.BlockSize
		block := absmax[start:min(start+n.BlockSize, len(absmax))]
		var most float32
		for _, x := range block {
			most = max(most, float32(math.Abs(float64(x-n.Offset))))
		}
		n.Absmax[b] = most
		if most == 0 {
			continue // all are the mean: the codes, 0, mean nothing
		}
		inverse := 1 / most
		for i, x := range block {
			n.Codes[start+i] = stepCode(midpoints, (x-n.Offset)*inverse)
		}
	}
	return n
}

// Expand writes the absmax that n stands for: value times absmax, then the offset
// added, each rounded to float32. dst must be as long as n.Codes.
func (n *Nested) Expand(dst []float32) {
	checkBlockSize(n.BlockSize)
	dst = dst[:len(n.Codes)]
	for i, code := range n.Codes {
		// The conversion forbids fusing the two operations, which rounds but once.
		dst[i] = float32(n.Map[code]*n.Absmax[i/n.BlockSize]) + n.Offset
	}
}

// steps is how many values in [-1, 1] bitsandbytes' CPU back end tells apart when
// it looks a code up (csrc/cpu_ops.cpp, build_quantize_lut).
const steps = 65536

// midpointsOf are the borders between the values of a sorted map.
func midpointsOf(values *[256]float32) []float32 {
	midpoints := make([]float32, len(values)-1)
	for i := range midpoints {
		midpoints[i] = 0.5 * (values[i] + values[i+1])
	}
	return midpoints
}

// stepCode is the code of the step that x in [-1, 1] is nearest to. NaN has code
// 0. The step's number is rounded once: the compiler of bitsandbytes fuses it.
func stepCode(midpoints []float32, x float32) byte {
	if x != x {
		return 0
	}
	half := (min(max(x, -1), 1) + 1) * 0.5
	step := int(float32(float64(half)*(steps-1) + 0.5))
	code, _ := slices.BinarySearch(midpoints, -1+float32(2*step)/(steps-1))
	return byte(code)
}
