package nf4

import (
	"math"
	"slices"
)

// smallestAbsmax stands in for the scale of a block of zeros, as in
// bitsandbytes' CPU path: its codes are then that of 0.
const smallestAbsmax = 1e-38

// Quantize packs the values x in blocks of blockSize, each divided by its
// largest magnitude: two codes a byte, the first in the high nibble, and the
// block's scale in absmax. x is a run of whole blocks, or ends with the tensor's
// last, shorter one; then an odd last nibble is the code of 0. codes has
// ceil(len(x)/2) bytes, absmax ceil(len(x)/blockSize).
//
// A whole block is multiplied by the reciprocal of its scale, a shorter one
// divided, as bitsandbytes' CPU path does; a tie takes the lower value.
func Quantize(codes []byte, absmax []float32, x []float32, kind Kind, blockSize int) {
	search := kind.search()
	for b := 0; b*blockSize < len(x); b++ {
		block := x[b*blockSize : min((b+1)*blockSize, len(x))]
		out := codes[b*blockSize/2:]
		scale := largest(block)
		if len(block) == blockSize {
			absmax[b] = scale
			search.pack(out, block, 1/max(scale, smallestAbsmax))
			continue
		}
		absmax[b] = max(scale, smallestAbsmax)
		quotient := make([]float32, len(block))
		for i, v := range block {
			quotient[i] = v / absmax[b]
		}
		search.pack(out, quotient, 1)
	}
}

func largest(x []float32) float32 {
	var most uint32 // magnitudes of floats are ordered like their bits
	for _, v := range x {
		most = max(most, math.Float32bits(v)&0x7fffffff)
	}
	return math.Float32frombits(most)
}

// search finds codes. [-1, 1] is cut into cells narrower than the distance of
// any two thresholds between codes: a cell has at most one, so that a table and
// one comparison give exactly what comparing with every threshold gives.
type search struct {
	cells [cellCount + 1]cell
}

type cell struct {
	threshold float32 // values above it take the upper code
	codes     [2]byte
}

const cellCount = 1024

// cellOf is monotone in x, whatever its rounding.
func cellOf(x float32) int { return int((x + 1) * (cellCount / 2)) }

var searches = [2]search{newSearch(NF4), newSearch(FP4)}

func (k Kind) search() *search { return &searches[k] }

func newSearch(k Kind) search {
	values := k.Codebook()
	order := make([]byte, 0, 16)
	for c := range byte(16) {
		order = append(order, c)
	}
	// Stable: FP4's two zeros keep the order of bitsandbytes' argsort.
	slices.SortStableFunc(order, func(a, b byte) int {
		switch {
		case values[a] < values[b]:
			return -1
		case values[a] > values[b]:
			return 1
		}
		return 0
	})
	var s search
	at := 0 // index in order of the code that a cell begins with
	for i := range s.cells {
		s.cells[i] = cell{float32(math.Inf(1)), [2]byte{order[at], order[at]}}
		for at < 15 {
			threshold := (values[order[at]] + values[order[at+1]]) / 2
			above := math.Nextafter32(threshold, 2)
			if cellOf(above) > i {
				break
			}
			at++
			if cellOf(threshold) == i {
				s.cells[i] = cell{threshold, [2]byte{s.cells[i].codes[0], order[at]}}
			} else {
				s.cells[i].codes = [2]byte{order[at], order[at]}
			}
		}
	}
	return s
}

// pack writes the codes of x·inverse.
func (s *search) pack(out []byte, x []float32, inverse float32) {
	n := len(x) &^ 1
	out = out[:(len(x)+1)/2]
	for i := 0; i < n; i += 2 {
		out[i/2] = s.code(x[i]*inverse)<<4 | s.code(x[i+1]*inverse)
	}
	if n < len(x) {
		out[n/2] = s.code(x[n]*inverse)<<4 | s.code(0)
	}
}

// code is the code nearest to x. What is no number takes the lowest, as on a GPU.
func (s *search) code(x float32) byte {
	if !(x >= -1) {
		x = -1
	}
	c := &s.cells[min(cellOf(x), cellCount)]
	if x > c.threshold {
		return c.codes[1]
	}
	return c.codes[0]
}
