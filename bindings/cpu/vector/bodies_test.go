package vector

import (
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"unsafe"

	"qlora/internal/halffloat"
)

// TestMain runs all tests with each of the processor's bodies.
func TestMain(m *testing.M) {
	status := 0
	for i, name := range bodies() {
		use(i)
		if code := m.Run(); code != 0 {
			println("with " + name)
			status = code
		}
	}
	os.Exit(status)
}

// lengths cover whole and partial groups of every body.
var lengths = []int{0, 1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 64, 67, 576, 1031, 20011}

// TestSameBits checks that all bodies give the same bits.
func TestSameBits(t *testing.T) {
	defer use(0)
	for _, n := range lengths {
		var want []byte
		for i, name := range bodies() {
			use(i)
			got := everything(n)
			if want == nil {
				want = got
			}
			if !slices.Equal(got, want) {
				at := 0
				for got[at] == want[at] {
					at++
				}
				t.Errorf("%s, %d elements: byte %d of %d differs from %s", name, n, at, len(want), bodies()[0])
			}
		}
	}
}

// everything returns the bytes of all functions' results for random rows of n elements.
func everything(n int) []byte {
	r := rand.New(rand.NewPCG(7, uint64(n)))
	var out []byte
	random := func(size float64) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(r.NormFloat64() * size)
		}
		return x
	}
	keep := func(x ...[]float32) {
		for _, x := range x {
			out = append(out, unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))...)
		}
	}
	number := func(x float64) { keep([]float32{float32(x), float32(x - float64(float32(x)))}) }
	x, y := random(3), random(1)
	number(float64(Max(x)))
	number(Sum(x))
	number(Dot(x, y))
	p, dp := slices.Clone(x), slices.Clone(y)
	number(ExpSum(p, 1.5))
	keep(p)
	p = slices.Clone(x)
	Probabilities(p, dp, 2, 0.25)
	keep(p, dp)
	Cap(p, 2)
	Scale(dp, 0.3)
	Add(dp, 0.1)
	AddF32(dp, 0.7, x)
	keep(p, dp)
	dropout := NewDropout(3, 4, 5, 0.3)
	dropout.Factors(p, 9)
	Mask(dp, x, p)
	AddMask(dp, y, p)
	keep(p, dp)
	for f := SiLU; f <= ReLUSquared; f++ {
		dg, du := make([]float32, n), make([]float32, n)
		activate(f, dg, x, y)
		keep(dg)
		activateBackward(f, dg, du, x, y, random(1))
		keep(dg, du)
	}
	codes, values, scales := make([]byte, n/8*4), [16]float32{}, random(1)[:n/8]
	for i := range codes {
		codes[i] = byte(r.Uint32())
	}
	copy(values[:], x)
	weights := make([]float32, n/8*8)
	Dequantize(weights, codes, &values, scales, 8)
	keep(weights)
	return out
}

// TestConversions checks both directions of both 16-bit types against package halffloat,
// of all values that a 16-bit float has and of those between them.
func TestConversions(t *testing.T) {
	var x []float32
	var all []uint16
	for i := range 1 << 16 {
		all = append(all, uint16(i))
		for _, f := range []float32{halffloat.FromBF16(uint16(i)), halffloat.FromF16(uint16(i))} {
			for _, add := range []uint32{0, 1, 0xfff, 0x1000, 0x1001, 0x7fff, 0x8000, 0x8001, 0xffff} {
				x = append(x, math.Float32frombits(math.Float32bits(f)+add))
			}
		}
	}
	for _, c := range []struct {
		name      string
		narrow    func([]uint16, []float32)
		widen     func([]float32, []uint16)
		narrowOne func(float32) uint16
		widenOne  func(uint16) float32
	}{
		{"bfloat16", NarrowBF16, WidenBF16, halffloat.BF16, halffloat.FromBF16},
		{"binary16", NarrowF16, WidenF16, halffloat.F16, halffloat.FromF16},
	} {
		narrow, wide := make([]uint16, len(x)), make([]float32, len(all))
		c.narrow(narrow, x)
		for i, v := range x {
			if want := c.narrowOne(v); narrow[i] != want {
				t.Fatalf("%s of %g (%#x): got %#04x, want %#04x", c.name, v, math.Float32bits(v), narrow[i], want)
			}
		}
		c.widen(wide, all)
		for i, h := range all {
			if got, want := math.Float32bits(wide[i]), math.Float32bits(c.widenOne(h)); got != want {
				t.Fatalf("%s %#04x: got %#08x, want %#08x", c.name, h, got, want)
			}
		}
		for _, n := range lengths {
			back := make([]float32, n+1)
			back[n] = 7
			c.widen(back[:n], narrow[:n])
			for i := range n {
				if want := c.widenOne(narrow[i]); math.Float32bits(back[i]) != math.Float32bits(want) {
					t.Fatalf("%s, element %d of %d: got %g, want %g", c.name, i, n, back[i], want)
				}
			}
			if back[n] != 7 {
				t.Fatalf("%s: %d elements wrote beyond them", c.name, n)
			}
		}
	}
}
