package ggml

import "math"

// These round as the x86-64 code of llama.cpp does, also where C and Go leave the result open.

// truncate converts to an integer towards zero. What does not fit, and a NaN, is the smallest
// integer.
func truncate(x float32) int32 {
	if x > -(1<<31) && x < 1<<31 {
		return int32(x)
	}
	return math.MinInt32
}

// roundAway converts to the nearest integer, ties away from zero, with truncate's limits.
func roundAway(x float32) int32 {
	n := truncate(x)
	if n == math.MinInt32 {
		return n
	}
	// The difference is exact: below 2^23 by Sterbenz's lemma, above it is 0.
	switch rest := x - float32(n); {
	case rest >= 0.5:
		return n + 1
	case rest <= -0.5:
		return n - 1
	}
	return n
}

// nearest converts |x| < 2^22 to the nearest integer, ties to even, in the mantissa of a sum.
// The result for another x is as arbitrary as llama.cpp's.
func nearest(x float32) int32 {
	return int32(math.Float32bits(x+0x1.8p23)&0x7fffff) - 0x400000
}

// reciprocal returns 1/x, or 0 for 0.
func reciprocal(x float32) float32 {
	if x == 0 {
		return 0
	}
	return 1 / x
}

// extreme returns the first element with the largest magnitude.
func extreme(x []float32) float32 {
	var most, magnitude float32
	for _, v := range x {
		if a := abs(v); magnitude < a {
			most, magnitude = v, a
		}
	}
	return most
}

// bounds returns the smallest and the largest element.
func bounds(x []float32) (low, high float32) {
	low, high = math.MaxFloat32, -math.MaxFloat32
	for _, v := range x {
		if v < low {
			low = v
		}
		if v > high {
			high = v
		}
	}
	return low, high
}
