package cpu

import (
	"math"

	"qlora/bindings"
	"qlora/internal/halffloat"
)

// add is dst += x.
func add(dst, x []float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] += x[i]
	}
}

// addWidened adds t's elements from first on to dst.
func addWidened(dst []float32, t bindings.Tensor, first int) {
	switch t.DType {
	case bindings.F32:
		add(dst, f32(t)[first:])
	case bindings.BF16:
		for i, h := range elements[uint16](t)[first : first+len(dst)] {
			dst[i] += halffloat.FromBF16(h)
		}
	case bindings.F16:
		for i, h := range elements[uint16](t)[first : first+len(dst)] {
			dst[i] += halffloat.FromF16(h)
		}
	}
}

// dot is the sum of a·b in float64, in four strands that are added last.
func dot(a, b []float32) float64 {
	b = b[:len(a)]
	var s [4]float64
	i := 0
	for ; i+4 <= len(a); i += 4 {
		p, q := a[i:i+4:i+4], b[i:i+4:i+4]
		s[0] += float64(p[0]) * float64(q[0])
		s[1] += float64(p[1]) * float64(q[1])
		s[2] += float64(p[2]) * float64(q[2])
		s[3] += float64(p[3]) * float64(q[3])
	}
	for ; i < len(a); i++ {
		s[0] += float64(a[i]) * float64(b[i])
	}
	return s[0] + s[1] + (s[2] + s[3])
}

// exp is e^x within 2 ulp over all of float32, subnormal results included: x =
// n·ln2 + r, a polynomial of degree 7 in r (Cephes' expf), and 2^n in two
// factors, as neither end of n's range fits one.
func exp(x float32) float32 {
	if x > 88.8 {
		return float32(math.Inf(1))
	}
	if x < -104 {
		return 0
	}
	const shift = 3 << 22 // adding it rounds to an integer, in the low bits
	z := float32(x*math.Log2E) + shift
	n := int32(math.Float32bits(z)) - int32(math.Float32bits(shift))
	f := z - shift
	r := x - float32(f*0.693359375) - float32(f*-2.12194440e-4)
	p := float32(1.9875691500e-4)
	p = float32(p*r) + 1.3981999507e-3
	p = float32(p*r) + 8.3334519073e-3
	p = float32(p*r) + 4.1665795894e-2
	p = float32(p*r) + 1.6666665459e-1
	p = float32(p*r) + 5.0000001201e-1
	p = float32(float32(p*r)*r) + r + 1
	half := n >> 1
	return p * math.Float32frombits(uint32(half+127)<<23) * math.Float32frombits(uint32(n-half+127)<<23)
}
