package nf4

import "math"

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

// Nest quantizes the absmax of a whole tensor as bitsandbytes does on CUDA, where
// the nearest value of the map is searched for. On the CPU bitsandbytes 0.50 looks
// it up in a table of 65,536 steps, and about one code in 300 is the neighbour's.
func Nest(absmax []float32) Nested {
	n := Nested{
		Codes:     make([]byte, len(absmax)),
		Absmax:    make([]float32, (len(absmax)+NestedBlockSize-1)/NestedBlockSize),
		Map:       DynamicMap(true),
		Offset:    mean(absmax),
		BlockSize: NestedBlockSize,
	}
	for b := range n.Absmax {
		start := b * n.BlockSize
		block := absmax[start:min(start+n.BlockSize, len(absmax))]
		var most float32
		for _, x := range block {
			most = max(most, float32(math.Abs(float64(x-n.Offset))))
		}
		n.Absmax[b] = most
		inverse := 1 / most // infinite where all are the mean; their code means nothing
		for i, x := range block {
			n.Codes[start+i] = nearest(&n.Map, (x-n.Offset)*inverse)
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

// nearest is the code of the value of the sorted map that is nearest to x. It is
// bitsandbytes' dQuantize, step by step, for its choice between two that are
// equally near.
func nearest(values *[256]float32, x float32) byte {
	pivot, low, high := 127, 0, 255
	for step := 64; step > 0; step /= 2 {
		if x > values[pivot] {
			low = pivot
			pivot += step
		} else {
			high = pivot
			pivot -= step
		}
	}
	value := values[pivot]
	if x > value {
		if x > (values[high]+value)*0.5 {
			return byte(high)
		}
	} else if x < (values[low]+value)*0.5 {
		return byte(low)
	}
	return byte(pivot)
}
