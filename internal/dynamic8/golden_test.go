package dynamic8

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// floats are little-endian float32s in base64.
type floats []float32

func (f *floats) UnmarshalJSON(text []byte) error {
	var raw []byte
	if err := json.Unmarshal(text, &raw); err != nil {
		return err
	}
	*f = make(floats, len(raw)/4)
	for i := range *f {
		(*f)[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return nil
}

// TestCodesMatchBitsandbytes holds maps, absmax, codes and what they stand for, bit
// for bit; testdata/generate.py makes the golden file.
func TestCodesMatchBitsandbytes(t *testing.T) {
	text, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	var golden map[string]struct {
		Map   floats
		Cases []struct {
			Name            string
			X, Absmax, Back floats
			Codes           []byte
		}
	}
	require.NoError(t, json.Unmarshal(text, &golden))
	require.Len(t, golden, 2)
	for name, code := range map[string]*Code{"signed": Signed(), "unsigned": Unsigned()} {
		requireSameBits(t, golden[name].Map, code.Values()[:], name+" map")
		require.NotEmpty(t, golden[name].Cases)
		for _, c := range golden[name].Cases {
			t.Run(name+"/"+c.Name, func(t *testing.T) {
				require.Len(t, c.Absmax, Blocks(len(c.X)))
				codes, back := make([]byte, len(c.X)), make([]float32, len(c.X))
				for b, want := range c.Absmax {
					from, to := b*BlockSize, min((b+1)*BlockSize, len(c.X))
					got := code.Quantize(codes[from:to], c.X[from:to])
					requireSameBits(t, floats{want}, []float32{got}, "absmax")
					code.Expand(back[from:to], codes[from:to], got)
				}
				for i, want := range c.Codes {
					require.Equal(t, want, codes[i], "code %d, of %v", i, c.X[i])
				}
				requireSameBits(t, c.Back, back, "value")
			})
		}
	}
}

// requireSameBits compares float32s by their bits, any NaN being as good as another.
func requireSameBits(t *testing.T, want, got []float32, what string) {
	t.Helper()
	require.Len(t, got, len(want), what)
	for i := range want {
		if want[i] != want[i] && got[i] != got[i] {
			continue
		}
		require.Equal(t, math.Float32bits(want[i]), math.Float32bits(got[i]), "%s %d: got %v, want %v", what, i, got[i], want[i])
	}
}
