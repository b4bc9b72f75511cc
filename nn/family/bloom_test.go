package family

import (
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/nn"
)

func TestBLOOM(t *testing.T) {
	c := parsed(t, `{"model_type":"bloom"}`)
	require.Equal(t, []int{64, 2, 250880, 2048}, []int{c.Hidden, c.Layers, c.Vocabulary, c.MaxPositions})
	require.Equal(t, 8, firstAttention(c).Heads)
	require.True(t, c.Tied)

	for _, size := range []struct {
		name, json string
		parameters int
	}{
		{"560m", `{"model_type":"bloom","n_embed":1024,"n_layer":24,"num_attention_heads":16}`, 559_214_592},
		{"7b1", `{"model_type":"bloom","n_embed":4096,"n_layer":30,"num_attention_heads":32}`, 7_069_016_064},
		{"176b", `{"model_type":"bloom","n_embed":14336,"n_layer":70,"num_attention_heads":112,"pad_token_id":3}`, 176_247_271_424},
	} {
		t.Run(size.name, func(t *testing.T) {
			require.Equal(t, size.parameters, parameters(t, parsed(t, size.json)))
		})
	}
}

func TestBLOOMResiduals(t *testing.T) {
	for text, want := range map[string]nn.Residual{`}`: nn.PreNorm, `,"apply_residual_connection_post_layernorm":true}`: nn.NormedBase} {
		for _, b := range parsed(t, `{"model_type":"bloom"`+text).Compose().Layers[0].Branches {
			require.Equal(t, want, b.Residual)
		}
	}
}

// The values are from transformers' build_alibi_tensor.
func TestAlibi(t *testing.T) {
	require.InDeltaSlice(t, []float32{0.25, 0.0625, 0.015625, 0.00390625, 0.5, 0.125}, slopes(6), 1e-9)
	require.InDeltaSlice(t, []float32{0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625}, slopes(8), 1e-9)
	require.InDelta(t, 0.25*37, alibi(6).At(0, 37), 1e-6)

	// Falcon rounds to bfloat16, positions too: 1001 becomes 1000.
	at := falconBias(heads{count: 16, kv: 16, dim: 4}).At
	require.Equal(t, []float32{2.125 / 2, 708 / 2, 708 / 2, 97 / 2.}, []float32{at(0, 3), at(0, 1000), at(0, 1001), at(5, 777)})
}
