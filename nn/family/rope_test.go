package family

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/nn"
)

// TestRopeFrequencies checks every scaling against transformers' (testdata/rope.py).
func TestRopeFrequencies(t *testing.T) {
	data, err := os.ReadFile("testdata/rope.json")
	require.NoError(t, err)
	var cases []struct {
		Name      string
		Dim       int
		Config    json.RawMessage
		InvFreq   []float32 `json:"inv_freq"`
		Attention float64
	}
	require.NoError(t, json.Unmarshal(data, &cases))
	require.NotEmpty(t, cases)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			cfg, err := ParseConfig(c.Config)
			require.NoError(t, err)
			got, attention := ropeOf(cfg).Frequencies(c.Dim)
			require.InDelta(t, c.Attention, attention, 1e-7)
			require.Len(t, got, len(c.InvFreq))
			for i, want := range c.InvFreq {
				// torch's float32 pow may differ by one unit in the last place.
				if diff := math.Abs(float64(got[i]-want)) / float64(want); diff > 2.5e-7 {
					t.Errorf("pair %d: got %g, want %g, relative error %g", i, got[i], want, diff)
				}
			}
		})
	}
}

// TestRopeDialects reads the same rope from configs of transformers 4 and 5.
func TestRopeDialects(t *testing.T) {
	v4, err := ParseConfig([]byte(`{"model_type":"llama","rope_theta":500000.0,"rope_scaling":{"type":"linear","factor":2.0}}`))
	require.NoError(t, err)
	v5, err := ParseConfig([]byte(`{"model_type":"llama","rope_parameters":{"rope_type":"linear","rope_theta":500000.0,"factor":2.0}}`))
	require.NoError(t, err)
	require.Equal(t, ropeOf(v5), ropeOf(v4))
}

// ropeOf returns the RoPE parameters of the first layer.
func ropeOf(c *nn.Config) *nn.Rope { return &firstAttention(c).Positions.Rope }

func firstAttention(c *nn.Config) *nn.Attention { return attentions(c)[0] }

func attentions(c *nn.Config) []*nn.Attention {
	var all []*nn.Attention
	for _, l := range c.Compose().Layers {
		for _, b := range l.Branches {
			if a, ok := b.Part.(*nn.Attention); ok {
				all = append(all, a)
			}
		}
	}
	return all
}
