package nf4

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/internal/golden"
)

// A goldenCase is a tensor with the output of bitsandbytes.
type goldenCase struct {
	Name        string
	Kind        string
	BlockSize   int `json:"block_size"`
	N           int
	Seed        uint64
	X           golden.Floats
	Codes       []byte
	Absmax      golden.Floats
	Dequantized string `json:"dequantized_sha256"`
}

type goldenFile struct {
	Quantize []goldenCase
	Nested   []struct {
		Blocks         int
		Seed           uint64
		Offset, Absmax golden.Floats
		Codes          []byte
		Expanded       string `json:"expanded_sha256"`
	}
	Mean []struct {
		N    int
		Mean golden.Floats
	}
	Codebook map[string]golden.Floats
}

func readGolden(t testing.TB) goldenFile {
	t.Helper()
	text, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	var g goldenFile
	require.NoError(t, json.Unmarshal(text, &g))
	return g
}

// made computes generate.py's function of the same name.
func made(n, block int, seed uint64) []float32 {
	x := make([]float32, n)
	for i := range x {
		total := -4 * 32767
		for range 4 {
			seed = seed*6364136223846793005 + 1442695040888963407
			total += int(seed >> 48)
		}
		x[i] = float32((total>>1)*((i/block+1)%5)) * 0x1p-18
	}
	return x
}

func digest(x []float32) string {
	h := sha256.New()
	for _, v := range x {
		var b [4]byte
		binary.LittleEndian.PutUint32(b[:], math.Float32bits(v))
		h.Write(b[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (c goldenCase) weights() []float32 {
	if c.X != nil {
		return c.X
	}
	return made(c.N, c.BlockSize, c.Seed)
}

func requireSameBytes(t *testing.T, want, got []byte, what string) {
	t.Helper()
	require.Len(t, got, len(want), what)
	for i := range want {
		require.Equal(t, want[i], got[i], "%s %d: got %#02x, want %#02x", what, i, got[i], want[i])
	}
}

func TestQuantizeMatchesBitsandbytes(t *testing.T) {
	for _, c := range readGolden(t).Quantize {
		t.Run(c.Name+"/"+c.Kind, func(t *testing.T) {
			kind, err := ParseKind(c.Kind)
			require.NoError(t, err)
			x := c.weights()
			codes := make([]byte, (len(x)+1)/2)
			absmax := make([]float32, (len(x)+c.BlockSize-1)/c.BlockSize)
			Quantize(codes, absmax, x, kind, c.BlockSize)
			golden.SameBits(t, c.Absmax, absmax, "absmax")
			requireSameBytes(t, c.Codes, codes, "byte")

			back := make([]float32, len(x))
			Dequantize(back, codes, absmax, kind, c.BlockSize)
			if c.Dequantized != "" {
				require.Equal(t, c.Dequantized, digest(back), "dequantized weights differ")
			}
		})
	}
}

func TestNestMatchesBitsandbytes(t *testing.T) {
	g := readGolden(t)
	for _, c := range g.Nested {
		absmax := made(c.Blocks, 1<<40, c.Seed)
		for i, x := range absmax {
			absmax[i] = float32(math.Abs(float64(x))) + 0.5
		}
		n := Nest(absmax)
		golden.SameBits(t, c.Offset, []float32{n.Offset}, "offset")
		golden.SameBits(t, c.Absmax, n.Absmax, "nested absmax")
		requireSameBytes(t, c.Codes, n.Codes, "code")

		// Both decode the codes to the same absmax.
		theirs := Nested{c.Codes, c.Absmax, n.Map, c.Offset[0], n.BlockSize}
		expanded := make([]float32, c.Blocks)
		theirs.Expand(expanded)
		require.Equal(t, c.Expanded, digest(expanded), "%d blocks: expanded absmax differ", c.Blocks)
	}
}

func TestMeanMatchesTorch(t *testing.T) {
	x := made(1_100_000, 64, 7)
	for _, c := range readGolden(t).Mean {
		got, want := mean(x[:c.N]), c.Mean[0]
		require.Equal(t, math.Float32bits(want), math.Float32bits(got), "mean of %d: got %v, want %v", c.N, got, want)
	}
}

func TestCodebooksMatchBitsandbytes(t *testing.T) {
	g := readGolden(t)
	for name, book := range g.Codebook {
		kind, err := ParseKind(name)
		require.NoError(t, err)
		golden.SameBits(t, book, kind.Codebook()[:], name)
	}
}
