package nf4

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/internal/golden"
)

// TestLookupIsTheSearch tests the float32s on both sides of every place where the lookup could
// be wrong: the thresholds and the bounds of the cells.
func TestLookupIsTheSearch(t *testing.T) {
	for _, kind := range []Kind{NF4, FP4} {
		t.Run(kind.String(), func(t *testing.T) {
			d, l := decide(kind), makeLookup(kind)
			check := func(v float32) {
				if v >= -1.001 && v <= 1.001 {
					require.Equal(t, d.code(v), l.code(v), "code of %v (bits %#x)", v, math.Float32bits(v))
				}
			}
			around := func(v float32) {
				up, down := v, v
				for range 300 {
					check(up)
					check(down)
					up, down = math.Nextafter32(up, 2), math.Nextafter32(down, -2)
				}
			}
			for _, threshold := range d.thresholds {
				around(threshold)
			}
			for i := range l.cells {
				around((float32(i) - l.offset) / l.scale)
			}
			around(0)
			around(1)
			around(-1)
			random := rand.New(rand.NewPCG(1, uint64(kind)))
			for range 200_000 {
				check(2*random.Float32() - 1)
				check(math.Float32frombits(random.Uint32()))
			}
		})
	}
}

// TestEveryThresholdHasACell fails if two thresholds share one cell.
func TestEveryThresholdHasACell(t *testing.T) {
	for _, kind := range []Kind{NF4, FP4} {
		found := 0
		for _, c := range makeLookup(kind).cells {
			if c.flip != 0 {
				found++
			}
		}
		require.Equal(t, 15, found, kind.String())
	}
}

// TestRunsAreIndependent quantizes a tensor whole and in runs of blocks.
func TestRunsAreIndependent(t *testing.T) {
	const blockSize, n = 64, 64*7 + 13
	x := made(n, 50, 3)
	codes, absmax := make([]byte, (n+1)/2), make([]float32, 8)
	Quantize(codes, absmax, x, NF4, blockSize)
	back := make([]float32, n)
	Dequantize(back, codes, absmax, NF4, blockSize)
	for _, blocks := range []int{1, 2, 3} {
		for first := 0; first < 8; first += blocks {
			from, to := first*blockSize, min((first+blocks)*blockSize, n)
			gotCodes, gotAbsmax := make([]byte, (to-from+1)/2), make([]float32, min(blocks, 8-first))
			Quantize(gotCodes, gotAbsmax, x[from:to], NF4, blockSize)
			requireSameBytes(t, codes[from/2:(to+1)/2], gotCodes, "byte")
			golden.SameBits(t, absmax[first:min(first+blocks, 8)], gotAbsmax, "absmax")
			got := make([]float32, to-from)
			Dequantize(got, gotCodes, gotAbsmax, NF4, blockSize)
			golden.SameBits(t, back[from:to], got, "weight")
		}
	}
}

// TestErrorIsBounded checks the error bound for finite weights: at most half the code's widest
// gap, relative to the block's absmax.
func TestErrorIsBounded(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for kind, gap := range map[Kind]float64{NF4: 1 - 0.6961928009986877, FP4: 1. / 3} {
		for _, n := range []int{1, 63, 64, 1000} {
			x := make([]float32, n)
			for i := range x {
				x[i] = float32(random.NormFloat64() * math.Exp(20*random.NormFloat64()))
			}
			codes, absmax, back := make([]byte, (n+1)/2), make([]float32, (n+63)/64), make([]float32, n)
			Quantize(codes, absmax, x, kind, 64)
			Dequantize(back, codes, absmax, kind, 64)
			for i := range x {
				limit := float64(absmax[i/64]) * gap / 2 * 1.000001
				require.LessOrEqual(t, math.Abs(float64(x[i])-float64(back[i])), limit, "%v weight %d: got %v, want %v", kind, i, back[i], x[i])
			}
		}
	}
}

func TestParseKind(t *testing.T) {
	for _, kind := range []Kind{NF4, FP4} {
		parsed, err := ParseKind(kind.String())
		require.NoError(t, err)
		require.Equal(t, kind, parsed)
	}
	_, err := ParseKind("int4")
	require.ErrorContains(t, err, "int4")
}

func TestNestOfNothing(t *testing.T) {
	n := Nest(nil)
	n.Expand(nil)
	require.Empty(t, n.Codes)
}
