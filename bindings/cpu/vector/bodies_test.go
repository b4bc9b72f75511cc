package vector

import (
	"math"
	"os"
	"slices"
	"testing"

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
var lengths = []int{0, 1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 64, 67, 576, 1031, 3011}

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
