package halffloat

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// A format names one of the two conversions for the tests.
type format struct {
	name             string
	mantissa         int // stored bits
	minExponent, max int // of the normal numbers, unbiased
	widen            func(uint16) float32
	narrow           func(float32) uint16
	widenAll         func([]float32, []uint16)
	narrowAll        func([]uint16, []float32)
}

var formats = []format{
	{"bf16", 7, -126, 127, FromBF16, BF16, BF16ToFloat32, Float32ToBF16},
	{"f16", 10, -14, 15, FromF16, F16, F16ToFloat32, Float32ToF16},
}

// value returns the value of the bits by definition, in float64.
func (f format) value(h uint16) float64 {
	sign := 1 - 2*float64(h>>15)
	exponent := int(h&0x7fff) >> f.mantissa
	fraction := float64(int(h) & (1<<f.mantissa - 1))
	one := float64(int(1) << f.mantissa)
	switch {
	case exponent == f.max-f.minExponent+2 && fraction != 0:
		return math.NaN()
	case exponent == f.max-f.minExponent+2:
		return math.Inf(int(sign))
	case exponent == 0:
		return sign * math.Ldexp(fraction/one, f.minExponent)
	}
	return sign * math.Ldexp(1+fraction/one, f.minExponent+exponent-1)
}

func TestEveryValueWidensExactlyAndComesBack(t *testing.T) {
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			for i := range 1 << 16 {
				h := uint16(i)
				got, want := f.widen(h), f.value(h)
				if math.IsNaN(want) {
					require.True(t, got != got, "bits %#04x: got %v, want NaN", h, got)
					quiet := h | 1<<(f.mantissa-1)
					require.Equal(t, quiet, f.narrow(got), "NaN %#04x: got %#04x, want it quiet", h, f.narrow(got))
					continue
				}
				require.Equal(t, want, float64(got), "bits %#04x", h)
				require.Equal(t, math.Signbit(want), math.Signbit(float64(got)), "bits %#04x: sign", h)
				require.Equal(t, h, f.narrow(got), "bits %#04x do not come back", h)
			}
		})
	}
}

// The midpoint of two neighbours is exact in float32: it must round to the even one, and
// the adjacent float32 values to the nearer one.
func TestNarrowRoundsToNearestEven(t *testing.T) {
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			infinity := f.narrow(float32(math.Inf(1)))
			for h := range infinity {
				low := f.value(h)
				high := f.value(h + 1)
				if h+1 == infinity { // the value after the largest finite one
					high = math.Ldexp(1, f.max+1)
				}
				middle := float32((low + high) / 2)
				require.Equal(t, (low+high)/2, float64(middle))
				even := h + h&1
				below := math.Nextafter32(middle, 0)
				above := math.Nextafter32(middle, float32(math.Inf(1)))
				require.Equal(t, even, f.narrow(middle), "tie above %#04x", h)
				require.Equal(t, h, f.narrow(below), "below the tie above %#04x", h)
				require.Equal(t, h+1, f.narrow(above), "above the tie above %#04x", h)
				require.Equal(t, even|0x8000, f.narrow(-middle), "negative tie above %#04x", h)
			}
			require.Equal(t, infinity, f.narrow(math.MaxFloat32))
			require.Equal(t, uint16(0x8000), f.narrow(float32(math.Copysign(0, -1))))
		})
	}
}

func TestSlicesAgreeWithScalars(t *testing.T) {
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			for _, n := range []int{0, 1, 7, 64, 1001} {
				x := make([]float32, n)
				for i := range x {
					x[i] = math.Float32frombits(random.Uint32())
				}
				narrow := make([]uint16, n)
				f.narrowAll(narrow, x)
				wide := make([]float32, n)
				f.widenAll(wide, narrow)
				for i := range x {
					require.Equal(t, f.narrow(x[i]), narrow[i], "element %d of %d: %v", i, n, x[i])
					require.Equal(t, math.Float32bits(f.widen(narrow[i])), math.Float32bits(wide[i]), "element %d of %d", i, n)
				}
			}
		})
	}
}

func BenchmarkConversions(b *testing.B) {
	const n = 1 << 16
	random := rand.New(rand.NewPCG(1, 2))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(random.NormFloat64())
	}
	h := make([]uint16, n)
	for _, f := range formats {
		f.narrowAll(h, x)
		b.Run(f.name+"/widen", func(b *testing.B) {
			b.SetBytes(4 * n)
			for b.Loop() {
				f.widenAll(x, h)
			}
		})
		b.Run(f.name+"/narrow", func(b *testing.B) {
			b.SetBytes(4 * n)
			for b.Loop() {
				f.narrowAll(h, x)
			}
		})
	}
}
