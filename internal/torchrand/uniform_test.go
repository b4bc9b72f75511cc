package torchrand

import (
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestUniform compares with torch's draws (testdata/uniform.py).
func TestUniform(t *testing.T) {
	data, err := os.ReadFile("testdata/uniform.json")
	require.NoError(t, err)
	var cases []struct {
		Seed      uint64
		N, In     int // in is 0 for uniform_(low, high)
		Low, High float32
		First     []uint32 // bits
		Crc       uint32   `json:"crc32"`
	}
	require.NoError(t, json.Unmarshal(data, &cases))
	require.NotEmpty(t, cases)
	for _, c := range cases {
		x := make([]float32, c.N)
		if g := New(c.Seed); c.In > 0 {
			g.KaimingUniform(x, c.In)
		} else {
			g.Uniform(x, c.Low, c.High)
		}
		for i, want := range c.First {
			require.Equal(t, want, math.Float32bits(x[i]), "seed %d, element %d of %d: got %v, want %v", c.Seed, i, c.N, x[i], math.Float32frombits(want))
		}
		var raw []byte
		for _, v := range x {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
		}
		require.Equal(t, c.Crc, crc32.ChecksumIEEE(raw), "seed %d, n %d, in %d", c.Seed, c.N, c.In)
	}
}
