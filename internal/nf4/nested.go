package nf4

import (
	"math"
	"slices"
	"sort"
)

// NestedBlockSize is how many scales share one second-level scale.
const NestedBlockSize = 256

// Nested is the scales of a tensor in 8 bits: double quantization (Dettmers et
// al. 2023, section 3).
type Nested struct {
	Codes     []byte    // a scale each
	Absmax    []float32 // a block of scales each
	Map       [256]float32
	Offset    float32 // the mean of the scales
	BlockSize int
}

// Nest quantizes the scales of one whole tensor: their mean is taken off, and
// the rest is held in blocks of 256 by the nearest values of the signed dynamic
// map.
func Nest(absmax []float32) Nested {
	n := Nested{
		Codes: make([]byte, len(absmax)), Absmax: make([]float32, (len(absmax)+NestedBlockSize-1)/NestedBlockSize),
		Map: DynamicMap(true), Offset: mean(absmax), BlockSize: NestedBlockSize,
	}
	rest := make([]float32, NestedBlockSize)
	for b := range n.Absmax {
		block := absmax[b*NestedBlockSize : min((b+1)*NestedBlockSize, len(absmax))]
		for i, a := range block {
			rest[i] = a - n.Offset
		}
		n.Absmax[b] = largest(rest[:len(block)])
		inverse := 1 / max(n.Absmax[b], smallestAbsmax)
		for i, v := range rest[:len(block)] {
			n.Codes[b*NestedBlockSize+i] = nearest(&n.Map, v*inverse)
		}
	}
	return n
}

func mean(x []float32) float32 {
	sum := 0.0
	for _, v := range x {
		sum += float64(v)
	}
	return float32(sum / float64(len(x)))
}

// nearest is the index of the map's value nearest to x, the lower of two equally
// near ones.
func nearest(m *[256]float32, x float32) byte {
	i := sort.Search(len(m), func(i int) bool { return m[i] >= x })
	switch {
	case i == 0:
		return 0
	case i == len(m):
		return 255
	case x > (m[i-1]+m[i])/2:
		return byte(i)
	}
	return byte(i - 1)
}

// Expand writes the scales: the product is rounded before the offset is added.
func (n *Nested) Expand(dst []float32) {
	for i := range dst {
		product := n.Map[n.Codes[i]] * n.Absmax[i/n.BlockSize]
		dst[i] = float32(product) + n.Offset
	}
}

// DynamicMap is bitsandbytes' 8-bit dynamic data type (Dettmers 2016;
// functional.py, create_dynamic_map), in ascending order: a dynamic exponent of
// up to seven bits, the rest a linear fraction. The unsigned one has no negative
// values and twice the fractions.
func DynamicMap(signed bool) [256]float32 {
	values := []float32{0, 1}
	for i := range 7 {
		items := 1 << i
		if !signed {
			items *= 2
		}
		power := float32(math.Pow10(i - 6))
		boundaries := linspace(items + 1)
		for j := range items {
			v := power * ((boundaries[j] + boundaries[j+1]) / 2)
			values = append(values, v)
			if signed {
				values = append(values, -v)
			}
		}
	}
	slices.Sort(values)
	return [256]float32(values)
}

// linspace is torch.linspace(0.1, 1, n): from both ends to the middle.
func linspace(n int) []float32 {
	const start, end = float32(0.1), float32(1)
	step := (end - start) / float32(n-1)
	out := make([]float32, n)
	for i := range out {
		if i < n/2 {
			out[i] = start + float32(step*float32(i))
		} else {
			out[i] = end - float32(step*float32(n-i-1))
		}
	}
	return out
}
