package family

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGPTNeoX(t *testing.T) {
	c := parsed(t, `{"model_type":"gpt_neox"}`)
	require.Equal(t, []int{6144, 44, 50432, 2048}, []int{c.Hidden, c.Layers, c.Vocabulary, c.MaxPositions})
	require.False(t, c.Tied)
	require.Equal(t, []int32{2}, c.EOS)
	require.Equal(t, 20_554_567_680, parameters(t, c)) // GPT-NeoX-20B
	require.True(t, c.Compose().Layers[0].Parallel)
	a := firstAttention(c)
	require.Equal(t, 24, a.Positions.Dims)
	require.False(t, a.Positions.Interleaved)
	require.InDelta(t, 10000, a.Positions.Rope.Theta, 0)
}

func TestPythiaSizes(t *testing.T) {
	for _, c := range []struct {
		name                                     string
		hidden, layers, heads, vocabulary, wants int
	}{
		{"70m", 512, 6, 8, 50304, 70_426_624},
		{"160m", 768, 12, 12, 50304, 162_322_944},
		{"410m", 1024, 24, 16, 50304, 405_334_016},
		{"1b", 2048, 16, 8, 50304, 1_011_781_632},
		{"1.4b", 2048, 24, 16, 50304, 1_414_647_808},
		{"2.8b", 2560, 32, 32, 50304, 2_775_208_960},
		{"6.9b", 4096, 32, 32, 50432, 6_857_302_016},
		{"12b", 5120, 36, 40, 50688, 11_846_072_320},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := parsed(t, fmt.Sprintf(`{"model_type":"gpt_neox","hidden_size":%d,"intermediate_size":%d,"num_hidden_layers":%d,"num_attention_heads":%d,"vocab_size":%d,
				"rotary_pct":0.25,"rotary_emb_base":10000,"use_parallel_residual":true,"layer_norm_eps":1e-05}`, c.hidden, 4*c.hidden, c.layers, c.heads, c.vocabulary))
			require.Equal(t, c.wants, parameters(t, config))
		})
	}
}

// TestGPTNeoXRotary checks that GPT-NeoX's own RoPE keys are read, and no others.
func TestGPTNeoXRotary(t *testing.T) {
	for text, want := range map[string][2]float64{
		`}`:                                      {10000, 24},
		`,"rotary_pct":1,"rotary_emb_base":500}`: {500, 96},
		`,"rope_theta":7,"partial_rotary_factor":0.5}`:                                                   {10000, 24},
		`,"rope_parameters":{"rope_theta":5,"partial_rotary_factor":0.5},"rotary_emb_base":9}`:           {5, 48},
		`,"rope_scaling":{"type":"linear","factor":2},"rotary_pct":0.5}`:                                 {10000, 48},
		`,"rotary_pct":0.5,"partial_rotary_factor":1,"rotary_emb_base":9,"rope_theta":7,"is_used":true}`: {9, 48},
	} {
		p := firstAttention(parsed(t, `{"model_type":"gpt_neox","num_hidden_layers":1`+text)).Positions
		require.Equal(t, want, [2]float64{p.Rope.Theta, float64(p.Dims)}, text)
	}
}
