package dynamic8

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/internal/golden"
)

// TestCodesMatchBitsandbytes compares maps, absmax, codes and decoded values bit for
// bit; testdata/generate.py makes the golden file.
func TestCodesMatchBitsandbytes(t *testing.T) {
	text, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	var recorded map[string]struct {
		Map   golden.Floats
		Cases []struct {
			Name            string
			X, Absmax, Back golden.Floats
			Codes           []byte
		}
	}
	require.NoError(t, json.Unmarshal(text, &recorded))
	require.Len(t, recorded, 2)
	for name, code := range map[string]*Code{"signed": Signed(), "unsigned": Unsigned()} {
		golden.SameBits(t, recorded[name].Map, code.Values()[:], name+" map")
		require.NotEmpty(t, recorded[name].Cases)
		for _, c := range recorded[name].Cases {
			t.Run(name+"/"+c.Name, func(t *testing.T) {
				require.Len(t, c.Absmax, Blocks(len(c.X)))
				codes, back := make([]byte, len(c.X)), make([]float32, len(c.X))
				for b, want := range c.Absmax {
					from, to := b*BlockSize, min((b+1)*BlockSize, len(c.X))
					got := code.Quantize(codes[from:to], c.X[from:to])
					golden.SameBits(t, golden.Floats{want}, []float32{got}, "absmax")
					code.Expand(back[from:to], codes[from:to], got)
				}
				for i, want := range c.Codes {
					require.Equal(t, want, codes[i], "code %d, of %v", i, c.X[i])
				}
				golden.SameBits(t, c.Back, back, "value")
			})
		}
	}
}
