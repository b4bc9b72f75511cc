package pyrandom

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSample compares samples with Python's, which testdata/generate.py records.
func TestSample(t *testing.T) {
	text, err := os.ReadFile("testdata/samples.json")
	require.NoError(t, err)
	var rows []struct {
		Seed    uint64
		Samples []struct {
			N, K int
			Want []int
		}
	}
	require.NoError(t, json.Unmarshal(text, &rows))
	require.NotEmpty(t, rows)
	for _, row := range rows {
		r := New(row.Seed)
		for _, s := range row.Samples {
			require.Equal(t, s.Want, r.Sample(s.N, s.K), "seed %d: %d of %d", row.Seed, s.K, s.N)
		}
	}
}
