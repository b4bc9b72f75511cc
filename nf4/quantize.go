package nf4

import (
	"fmt"
	"math"
)

// smallest is the lower bound of an absmax, so that its reciprocal is finite.
const smallest = 1e-38

const (
	magnitude = 0x7fffffff // a float32 without its sign
	infinity  = 0x7f800000
)

// Quantize writes the 4-bit codes of x, two to a byte and the first in the high half, and each
// block's largest magnitude. A block is blockSize consecutive elements (an even number). Only
// the last block of a tensor may be shorter; with an odd number of elements the last half byte
// is the code of 0. codes needs (len(x)+1)/2 bytes, absmax one entry per block. Blocks are
// independent, so a tensor may be cut between blocks and quantized in parallel.
//
// The numbers are those of bitsandbytes' CPU back end. It multiplies whole blocks by the
// reciprocal of absmax; it divides a short block by absmax, and stores an absmax of at least
// 1e-38. A block of zeros has absmax 0 and the code of 0 (NF4: 7). bitsandbytes on CUDA gives
// such a block code 0 and never divides, so that there the codes of zero blocks, and of weights
// within a rounding of a threshold, differ; the codes of zero blocks decode to the same
// weights. A block with a NaN or an infinity decodes to NaN.
//
// kind.Quantizes must hold.
func Quantize(codes []byte, absmax []float32, x []float32, kind Kind, blockSize int) {
	checkBlockSize(blockSize)
	if !kind.Quantizes() {
		panic(fmt.Sprintf("nf4: Quantize does not write %v", kind))
	}
	for b := 0; len(x) > 0; b++ {
		block := x[:min(blockSize, len(x))]
		x = x[len(block):]
		bits := largest(block)
		absmax[b] = math.Float32frombits(bits)
		packed := codes[:(len(block)+1)/2]
		codes = codes[len(packed):]
		switch {
		case bits >= infinity:
			quantizeNonFinite(packed, block, 1/absmax[b], kind)
		case len(block) < blockSize:
			absmax[b] = max(absmax[b], smallest)
			quantizeShort(packed, block, absmax[b], lookups[kind])
		default:
			quantizeWhole(packed, block, 1/max(absmax[b], smallest), lookups[kind])
		}
	}
}

func checkBlockSize(blockSize int) {
	if blockSize <= 0 || blockSize%2 != 0 {
		panic("nf4: the block size must be a positive even number")
	}
}

// largest returns the largest magnitude in x as a float32's bits. Their order is that of the
// magnitudes, with NaN above infinity.
func largest(x []float32) uint32 {
	var a, b, c, d uint32 // four chains, since each step waits for the one before
	for len(x) >= 4 {
		a = max(a, math.Float32bits(x[0])&magnitude)
		b = max(b, math.Float32bits(x[1])&magnitude)
		c = max(c, math.Float32bits(x[2])&magnitude)
		d = max(d, math.Float32bits(x[3])&magnitude)
		x = x[4:]
	}
	for _, v := range x {
		a = max(a, math.Float32bits(v)&magnitude)
	}
	return max(a, b, c, d)
}

func quantizeWhole(codes []byte, x []float32, inverse float32, l *lookup) {
	for i := range codes {
		pair := (*[2]float32)(x)
		codes[i] = l.code(pair[0]*inverse)<<4 | l.code(pair[1]*inverse)
		x = x[2:]
	}
}

func quantizeShort(codes []byte, x []float32, absmax float32, l *lookup) {
	for i := range codes {
		var low float32
		if 2*i+1 < len(x) {
			low = x[2*i+1] / absmax
		}
		codes[i] = l.code(x[2*i]/absmax)<<4 | l.code(low)
	}
}

// quantizeNonFinite writes the codes that bitsandbytes writes for a block with NaN or infinity.
// They decode to NaN or infinity in any case.
func quantizeNonFinite(codes []byte, x []float32, inverse float32, kind Kind) {
	d := &decisions[kind]
	for i := range codes {
		var low float32
		if 2*i+1 < len(x) {
			low = x[2*i+1]
		}
		codes[i] = d.code(x[2*i]*inverse)<<4 | d.code(low*inverse)
	}
}
