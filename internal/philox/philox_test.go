package philox

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBlock compares with the known answers of Random123 (kat_vectors, philox4x32 10).
func TestBlock(t *testing.T) {
	for _, c := range []struct {
		counter [4]uint32
		key     [2]uint32
		want    [4]uint32
	}{
		{[4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{[4]uint32{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, [2]uint32{0xffffffff, 0xffffffff}, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0}, [4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	} {
		require.Equal(t, c.want, Block(c.key, c.counter))
	}
}

func TestDropout(t *testing.T) {
	const rows, cols = 200, 333
	ones := make([]float32, cols)
	for i := range ones {
		ones[i] = 1
	}
	for _, p := range []float32{0, 0.05, 0.5, 0.9} {
		d := NewDropout(7, 3, 11, p)
		kept := 0
		first := make([]float32, cols)
		got := make([]float32, cols)
		for row := range rows {
			d.Apply(got, ones, row)
			if row == 0 {
				copy(first, got)
			}
			for _, x := range got {
				require.True(t, x == 0 || x == d.Scale)
				if x != 0 {
					kept++
				}
			}
		}
		share := float64(kept) / (rows * cols)
		deviation := math.Sqrt(float64(p)*float64(1-p)/(rows*cols)) + 1e-5
		require.InDelta(t, 1-p, share, 5*deviation, "share kept with p %v", p)
		d.Apply(got[:5], ones[:5], 0)
		require.Equal(t, first[:5], got[:5], "a shorter row has the same mask")
	}
}

// TestDropoutLanes checks the order of the 16-bit lanes and of the counter's words
// against Random123's answers: an element is kept if the threshold is at most its lane.
func TestDropoutLanes(t *testing.T) {
	const all = 0xffffffff
	for _, c := range []struct {
		seed         uint64
		group, row   int
		stream, step uint32
		lanes        [8]uint32
	}{
		{0, 0, 0, 0, 0, [8]uint32{0xe8d5, 0x6627, 0xc58d, 0xe169, 0xac4c, 0xbc57, 0xdbd8, 0x9b00}},
		{1<<64 - 1, all, all, all, all, [8]uint32{0x276d, 0x408f, 0x3b0e, 0x41c8, 0xc7c6, 0xa20b, 0x51fd, 0x6d54}},
		{0x299f31d0a4093822, 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, [8]uint32{0xfe09, 0xd16c, 0xcceb, 0x94fd, 0xe420, 0x5001, 0x6ea1, 0x2412}},
	} {
		b := Block(Key(c.seed), [4]uint32{uint32(c.group), uint32(c.row), c.stream, c.step})
		for i, lane := range c.lanes {
			require.Equal(t, lane, b[i/2]>>(16*(i%2))&0xffff, "lane %d", i)
		}
		if c.group != 0 {
			continue // Apply begins at column 0
		}
		for i, lane := range c.lanes {
			ones, got := [8]float32{1, 1, 1, 1, 1, 1, 1, 1}, [8]float32{}
			for _, n := range []int{8, i + 1} { // a whole group, and the end of a row
				d := Dropout{key: Key(c.seed), stream: c.stream, step: c.step, threshold: lane, Scale: 1}
				d.Apply(got[:n], ones[:n], c.row)
				require.Equal(t, float32(1), got[i], "column %d, threshold %#x", i, lane)
				d.threshold++
				d.Apply(got[:n], ones[:n], c.row)
				require.Equal(t, float32(0), got[i], "column %d, threshold %#x", i, d.threshold)
			}
		}
	}
}

// TestUniformIsBelowHigh checks that 1 + 0.5 times the largest fraction, which rounds to
// 1.5, stays below it.
func TestUniformIsBelowHigh(t *testing.T) {
	x := make([]float32, 1<<12)
	Uniform(x, 1, 2, 1, 1.0000002)
	for i, v := range x {
		require.True(t, v >= 1 && v < 1.0000002, "element %d is %g", i, v)
	}
}

// TestNoise checks that the noise is within its bounds, uniform, and as independent
// across rows as across columns.
func TestNoise(t *testing.T) {
	const rows, cols, bound = 300, 333, 0.25
	n := NewNoise(7, 3, 11, bound)
	var bins [16]int
	var sum, squares, along, across float64
	before := make([]float32, cols)
	for row := range rows {
		x := make([]float32, cols)
		n.Add(x, row)
		for col, v := range x {
			require.True(t, v >= -bound && v < bound, "row %d, column %d is %g", row, col, v)
			bins[int((v+bound)/(2*bound)*16)]++
			sum += float64(v)
			squares += float64(v) * float64(v)
			across += float64(v) * float64(before[col])
			if col > 0 {
				along += float64(v) * float64(x[col-1])
			}
		}
		part := make([]float32, 5)
		n.Add(part, row)
		require.Equal(t, x[:5], part, "a shorter row has the same noise")
		before = x
	}
	const count = rows * cols
	variance := bound * bound / 3
	require.InDelta(t, 0, sum/count, 5*math.Sqrt(variance/count))
	require.InEpsilon(t, variance, squares/count, 5*math.Sqrt(0.8/count))
	require.InDelta(t, 0, along/count/variance, 5/math.Sqrt(count))
	require.InDelta(t, 0, across/count/variance, 5/math.Sqrt(count))
	chi := 0.0
	for _, b := range bins {
		d := float64(b) - count/16.0
		chi += d * d / (count / 16.0)
	}
	require.Less(t, chi, 50.0, "chi-square of 15 degrees of freedom") // above it once in 100,000
}

func TestNormal(t *testing.T) {
	x := make([]float32, 100001)
	Normal(x, 1, 2, 3)
	var sum, squares float64
	for _, v := range x {
		sum += float64(v)
		squares += float64(v) * float64(v)
	}
	n := float64(len(x))
	require.InDelta(t, 0, sum/n, 5*3/math.Sqrt(n))
	require.InDelta(t, 9, squares/n, 5*9*math.Sqrt(2/n))
}

func TestUniform(t *testing.T) {
	x := make([]float32, 99999)
	Uniform(x, 1, 2, -0.5, 0.25)
	sum := 0.0
	for i, v := range x {
		require.True(t, v >= -0.5 && v < 0.25, "element %d is %g", i, v)
		sum += float64(v)
	}
	n := float64(len(x))
	require.InDelta(t, -0.125, sum/n, 5*0.75/math.Sqrt(12*n))
}

func BenchmarkDropout(b *testing.B) {
	d := NewDropout(7, 3, 11, 0.05)
	x := make([]float32, 4096)
	b.SetBytes(int64(4 * len(x)))
	for i := 0; b.Loop(); i++ {
		d.Apply(x, x, i)
	}
}
