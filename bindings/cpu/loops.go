package cpu

import (
	"qlora/bindings"
	"qlora/internal/halffloat"
)

// add computes dst += x.
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

// dot returns the sum of a·b in float64, as four partial sums that are added last.
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
