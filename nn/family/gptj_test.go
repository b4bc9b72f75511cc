package family

import (
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/nn"
)

func TestGPTJ(t *testing.T) {
	c := parsed(t, `{"model_type":"gptj"}`)
	require.Equal(t, []int{4096, 28, 50400, 2048}, []int{c.Hidden, c.Layers, c.Vocabulary, c.MaxPositions})
	require.False(t, c.Tied)
	require.Equal(t, 6_050_882_784, parameters(t, c))
	tensors := shapes(t, c)
	require.Equal(t, []int{50400}, tensors["lm_head.bias"])
	require.Equal(t, []int{4096, 4096}, tensors["transformer.h.27.attn.out_proj.weight"])
	require.NotContains(t, tensors, "transformer.h.0.attn.out_proj.bias")
	require.Equal(t, []int{16384}, tensors["transformer.h.0.mlp.fc_in.bias"])

	made := c.Compose()
	a := firstAttention(c)
	require.True(t, made.Layers[0].Parallel)
	require.Zero(t, made.Embedding.Dropout+a.Dropout)
	require.Equal(t, nn.Rotary{Rope: nn.Rope{Type: "default", Theta: 10000}, Dims: 64, Interleaved: true}, *a.Positions)
}
