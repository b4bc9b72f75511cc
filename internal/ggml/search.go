package ggml

import "math"

// The searches of the K types for a group's scale. Each tries scales around the one that the
// extreme elements suggest and takes, for the codes that result, the scale of least squared or
// absolute error. The order of the sums decides bits, so it is llama.cpp's.

// epsilon is the magnitude below which a group counts as zeros.
const epsilon = 1e-15

// A search fits x ≈ scale·q - low with codes q from 0 to most.
type search struct {
	most     int32
	from, by float32 // scale of step i is (largest - low)/(most + from + i·by)
	steps    int
	absolute bool // minimizes absolute errors, not squared ones
}

var (
	q2Search = search{most: 3, from: -0.5, by: 0.1, steps: 15, absolute: true}
	q4Search = search{most: 15, from: -1, by: 0.1, steps: 20}
	q5Search = search{most: 31, from: -0.5, by: 0.1, steps: 15}
)

// fit returns the scale and the low of least weighted error, and writes the codes.
func (s *search) fit(x, weights []float32, codes []uint8) (scale, low float32) {
	weights, codes = weights[:len(x)], codes[:len(x)]
	least, most := x[0], x[0]
	sumW := weights[0]
	sumX := float32(sumW * x[0])
	for i := 1; i < len(x); i++ {
		if x[i] < least {
			least = x[i]
		}
		if x[i] > most {
			most = x[i]
		}
		sumW += weights[i]
		sumX += float32(weights[i] * x[i])
	}
	if least > 0 {
		least = 0
	}
	if most == least {
		clear(codes)
		return 0, -least
	}
	top := float32(s.most)
	inverse := top / (most - least)
	scale = 1 / inverse
	low = least
	s.round(codes, x, weights, inverse, low)
	best, _ := s.loss(codes, x, weights, scale, low, float32(math.Inf(1)))

	var tried [32]uint8
	for step := 0; step <= s.steps; step++ {
		// low is that of the best scale so far, not the group's least element.
		inverse = (s.from + float32(s.by*float32(step)) + top) / (most - low)
		try := tried[:len(x)]
		sumL, sumL2, sumXL := s.round(try, x, weights, inverse, low)
		det := float32(sumW*sumL2) - float32(sumL*sumL)
		if !(det > 0) {
			continue
		}
		thisScale := (float32(sumW*sumXL) - float32(sumX*sumL)) / det
		thisLow := (float32(sumL2*sumX) - float32(sumL*sumXL)) / det
		if thisLow > 0 {
			thisLow = 0
			thisScale = sumXL / sumL2
		}
		if loss, less := s.loss(try, x, weights, thisScale, thisLow, best); less {
			copy(codes, try)
			best, scale, low = loss, thisScale, thisLow
		}
	}
	return scale, -low
}

// round writes the codes at a scale of 1/inverse, and returns their weighted sum, that of their
// squares, and that of their products with x.
func (s *search) round(codes []uint8, x, weights []float32, inverse, low float32) (sum, squares, products float32) {
	codes, weights = codes[:len(x)], weights[:len(x)]
	for i, v := range x {
		q := max(0, min(s.most, nearest(inverse*(v-low))))
		codes[i] = uint8(q)
		weighted := weights[i] * float32(q)
		sum += weighted
		squares += float32(weighted * float32(q))
		products += float32(weighted * v)
	}
	return sum, squares, products
}

// loss returns the weighted sum of the errors' squares or magnitudes, and whether it is less than
// a limit. If not, the sum can be part of the loss.
func (s *search) loss(codes []uint8, x, weights []float32, scale, low, limit float32) (float32, bool) {
	codes, weights = codes[:len(x)], weights[:len(x)]
	var sum float32
	for i, q := range codes {
		diff := float32(scale*float32(q)) + low - x[i]
		if s.absolute {
			diff = abs(diff)
		} else {
			diff *= diff
		}
		sum += float32(weights[i] * diff)
		if i&7 == 7 && !(sum < limit) { // no term is negative
			return sum, false
		}
	}
	return sum, true
}

// fitSixes fits x ≈ scale·(q - 32), weighted by the squares of x, and writes q from 0 to 63.
func fitSixes(x *[16]float32, codes *[16]uint8) float32 {
	widest := extreme(x[:])
	if abs(widest) < epsilon {
		*codes = [16]uint8{}
		return 0
	}
	chosen := -32 / widest
	xl, l2 := moments(x, chosen)
	var scale float32
	if l2 != 0 {
		scale = xl / l2
	}
	best := float32(scale * xl)
	for step := -9; step <= 9; step++ {
		if step == 0 {
			continue
		}
		inverse := -(32 + float32(0.1*float32(step))) / widest
		xl, l2 := moments(x, inverse)
		if l2 > 0 && float32(xl*xl) > float32(best*l2) {
			chosen = inverse
			scale = xl / l2
			best = float32(scale * xl)
		}
	}
	for i, v := range x {
		codes[i] = uint8(max(-32, min(31, nearest(chosen*v))) + 32)
	}
	return scale
}

// moments returns the sums of x·q and q² over codes q from -32 to 31 at a scale of 1/inverse,
// weighted by the squares of x.
func moments(x *[16]float32, inverse float32) (products, squares float32) {
	for _, v := range x {
		q := float32(max(-32, min(31, nearest(inverse*v))))
		w := float32(v * v)
		products += float32(float32(w*v) * q)
		squares += float32(float32(w*q) * q)
	}
	return products, squares
}

// fitThrees fits x ≈ scale·(q - 4), weighted by the squares of x, and writes q from 0 to 7. It
// improves one code after the other, up to five times around.
func fitThrees(x *[16]float32, codes *[16]uint8) float32 {
	widest := extreme(x[:])
	if abs(widest) < epsilon {
		*codes = [16]uint8{}
		return 0
	}
	inverse := -4 / widest
	var l [16]int32
	var sumXL, sumL2 float32
	for i, v := range x {
		l[i] = max(-4, min(3, nearest(inverse*v)))
		q, w := float32(l[i]), float32(v*v)
		sumXL += float32(float32(w*v) * q)
		sumL2 += float32(float32(w*q) * q)
	}
	for range 5 {
		changed := false
		for i, v := range x {
			q, w := float32(l[i]), float32(v*v)
			xl := sumXL - float32(float32(w*v)*q)
			if !(xl > 0) {
				continue
			}
			l2 := sumL2 - float32(float32(w*q)*q)
			next := max(-4, min(3, nearest(float32(v*l2)/xl)))
			if next == l[i] {
				continue
			}
			q = float32(next)
			xl += float32(float32(w*v) * q)
			l2 += float32(float32(w*q) * q)
			if l2 > 0 && float32(float32(xl*xl)*sumL2) > float32(float32(sumXL*sumXL)*l2) {
				l[i], sumXL, sumL2 = next, xl, l2
				changed = true
			}
		}
		if !changed {
			break
		}
	}
	for i := range codes {
		codes[i] = uint8(l[i] + 4)
	}
	if sumL2 > 0 {
		return sumXL / sumL2
	}
	return 0
}
