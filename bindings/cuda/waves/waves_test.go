package waves

import (
	"math"
	"testing"
)

// weights are Llama 3.1 8B's, as rows forward and as columns backward.
var weights = []struct{ n, width int }{{6144, 4096}, {4096, 4096}, {28672, 4096}, {4096, 14336}, {4096, 6144}, {4096, 28672}, {14336, 4096}}

// TestPartTakesTheLeastTime checks that no other part of a weight is modelled to take 1 % less, the parts' sizes, and
// how many there are of a layer, forward and backward.
func TestPartTakesTheLeastTime(t *testing.T) {
	const bounded = 128 << 20
	for _, c := range []struct {
		name                                   string
		processors, compute, tokens, room, all int
	}{
		{"an H100", 132, 90, 8192, math.MaxInt, 8},
		{"an H100", 132, 90, 8192, bounded, 10},
		{"an H100", 132, 90, 2048, math.MaxInt, 15},
		{"an A100", 108, 80, 8192, math.MaxInt, 8},
		{"an RTX 3090", 82, 86, 8192, math.MaxInt, 8},
		{"an RTX 4090", 128, 89, 8192, math.MaxInt, 16},
		{"an RTX 5090", 170, 120, 8192, math.MaxInt, 9},
	} {
		g, all := Of(c.processors, c.compute), 0
		for i, w := range weights {
			most := Most(w.n, w.width, c.room)
			part := g.Part(w.n, w.width, c.tokens, most)
			if part < 1 || part > most || part < w.n && part%Unit != 0 {
				t.Errorf("%s, %d tokens, %d of %d: parts of %d", c.name, c.tokens, w.n, w.width, part)
			}
			took := g.seconds(w.n, w.width, c.tokens, part)
			for other := Unit; other < most; other += Unit {
				if least := g.seconds(w.n, w.width, c.tokens, other); took > 1.01*least || other > part && least <= took {
					t.Errorf("%s, %d tokens, %d of %d: parts of %d take %.3g s, of %d %.3g s", c.name, c.tokens, w.n, w.width, part, took, other, least)
				}
			}
			parts := ceil(w.n, part)
			if all += parts; i == 1 {
				all += parts // o backward has the shape of o forward
			}
		}
		if all != c.all {
			t.Errorf("%s, %d tokens, copies of up to %d bytes: %d parts of a layer's weights, want %d", c.name, c.tokens, c.room, all, c.all)
		}
	}
}

// TestDecode compares decoding with what was computed by hand for an H100: a copy of 16 MB stays in the L2 cache, which
// takes it in 132*20 bytes a clock; of one of 256 MiB all but 25 MiB goes to memory.
func TestDecode(t *testing.T) {
	g := Of(132, 90)
	for _, c := range []struct{ weights, bytes, micros float64 }{
		{8e6, 4.16e6, 3.45},
		{128 << 20, 0.52*(128<<20) + (256-25)<<20, 122.4},
	} {
		if got := g.DecodedBytes(c.weights); math.Abs(got-c.bytes) > 1 {
			t.Errorf("%.0f weights move %.0f bytes, want %.0f", c.weights, got, c.bytes)
		}
		if got := 1e6 * g.Decode(c.weights); math.Abs(got-c.micros) > 0.1 {
			t.Errorf("%.0f weights take %.2f µs, want %.2f", c.weights, got, c.micros)
		}
	}
}

func TestMost(t *testing.T) {
	for _, c := range []struct{ n, width, bytes, want int }{
		{4096, 4096, 64 << 20, 4096},
		{4096, 14336, 24 << 20, 768},
		{28672, 4096, math.MaxInt, 28672},
		{300, 1000, 1, Unit},
		{100, 1000, 1, 100},
		{100, 0, 1, 100},
	} {
		if got := Most(c.n, c.width, c.bytes); got != c.want {
			t.Errorf("Most(%d, %d, %d) = %d, want %d", c.n, c.width, c.bytes, got, c.want)
		}
	}
}
