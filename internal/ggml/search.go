package ggml

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
	s.round(codes, x, inverse, low)
	best := s.loss(codes, x, weights, scale, low)

	var tried [32]uint8
	for step := 0; step <= s.steps; step++ {
		// low is that of the best scale so far, not the group's least element.
		inverse = (s.from + float32(s.by*float32(step)) + top) / (most - low)
		try := tried[:len(x)]
		s.round(try, x, inverse, low)
		var sumL, sumL2, sumXL float32
		for i, q := range try {
			wl := weights[i] * float32(q)
			sumL += wl
			sumL2 += float32(wl * float32(q))
			sumXL += float32(wl * x[i])
		}
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
		if loss := s.loss(try, x, weights, thisScale, thisLow); loss < best {
			copy(codes, try)
			best, scale, low = loss, thisScale, thisLow
		}
	}
	return scale, -low
}

// round writes the codes at a scale of 1/inverse.
func (s *search) round(codes []uint8, x []float32, inverse, low float32) {
	for i, v := range x {
		codes[i] = uint8(max(0, min(s.most, nearest(inverse*(v-low)))))
	}
}

// loss returns the weighted sum of the errors' squares or magnitudes.
func (s *search) loss(codes []uint8, x, weights []float32, scale, low float32) float32 {
	var sum float32
	for i, q := range codes {
		diff := float32(scale*float32(q)) + low - x[i]
		if s.absolute {
			diff = abs(diff)
		} else {
			diff *= diff
		}
		sum += float32(weights[i] * diff)
	}
	return sum
}

// fitSixes fits x ≈ scale·(q - 32), weighted by the squares of x, and writes q from 0 to 63.
func fitSixes(x *[16]float32, codes *[16]uint8) float32 {
	widest := extreme(x[:])
	if abs(widest) < epsilon {
		*codes = [16]uint8{}
		return 0
	}
	moments := func(inverse float32) (xl, l2 float32) {
		for _, v := range x {
			l := float32(max(-32, min(31, nearest(inverse*v))))
			w := float32(v * v)
			xl += float32(float32(w*v) * l)
			l2 += float32(float32(w*l) * l)
		}
		return xl, l2
	}
	inverse := -32 / widest
	xl, l2 := moments(inverse)
	var scale float32
	if l2 != 0 {
		scale = xl / l2
	}
	best := float32(scale * xl)
	chosen := inverse
	for step := -9; step <= 9; step++ {
		if step == 0 {
			continue
		}
		inverse = -(32 + float32(0.1*float32(step))) / widest
		xl, l2 := moments(inverse)
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
