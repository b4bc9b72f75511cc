package torchrand

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func crc(p []int) uint32 {
	return crc32.ChecksumIEEE([]byte(strings.Trim(strings.ReplaceAll(fmt.Sprint(p), " ", ","), "[]")))
}

// TestRandPerm compares with torch's own permutations (testdata/generate.py).
func TestRandPerm(t *testing.T) {
	data, err := os.ReadFile("testdata/torch.json")
	require.NoError(t, err)
	var cases []struct {
		Seed   uint64
		N      int
		First  []int
		Crc    uint32 `json:"first_crc32"`
		Second uint32 `json:"second_crc32"`
	}
	require.NoError(t, json.Unmarshal(data, &cases))
	require.NotEmpty(t, cases)
	for _, c := range cases {
		g := New(c.Seed)
		p := g.RandPerm(c.N)
		require.Equal(t, c.First, p[:len(c.First)], "seed %d, n %d", c.Seed, c.N)
		require.Equal(t, c.Crc, crc(p), "seed %d, n %d", c.Seed, c.N)
		require.Equal(t, c.Second, crc(g.RandPerm(c.N)), "second permutation, seed %d, n %d", c.Seed, c.N)
	}
}

func TestStateGoesOn(t *testing.T) {
	for _, drawn := range []int{0, 1, 623, 624, 1000} {
		g := New(9)
		for range drawn {
			g.Uint32()
		}
		state, err := g.MarshalBinary()
		require.NoError(t, err)
		var h Generator
		require.NoError(t, h.UnmarshalBinary(state))
		require.Equal(t, g.Uint64(), h.Uint64(), "after %d draws", drawn)
	}
	require.Error(t, new(Generator).UnmarshalBinary(make([]byte, 7)))
}
