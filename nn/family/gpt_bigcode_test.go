package family

import (
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/nn"
)

func TestGPTBigCode(t *testing.T) {
	for _, c := range []struct {
		name, json string
		parameters int
		kvHeads    int
		layout     nn.Layout
	}{
		{"defaults", `{"model_type":"gpt_bigcode"}`, 111_446_784, 1, nn.Blocks},
		{"each head its own", `{"model_type":"gpt_bigcode","multi_query":false,"num_key_value_heads":1}`, 124_439_808, 12, nn.PerGroup},
		{"starcoder", `{"model_type":"gpt_bigcode","n_embd":6144,"n_head":48,"n_inner":24576,"n_layer":40,"n_positions":8192,"vocab_size":49152}`, 15_517_456_384, 1, nn.Blocks},
		{"santacoder", `{"model_type":"gpt_bigcode","n_embd":2048,"n_head":16,"n_inner":8192,"n_layer":24,"n_positions":2048,"vocab_size":49280}`, 1_124_886_528, 1, nn.Blocks},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := parsed(t, c.json)
			require.Equal(t, c.parameters, parameters(t, config))
			a := firstAttention(config)
			require.Equal(t, c.kvHeads, a.KVHeads)
			require.Equal(t, c.layout, a.Layout)
			require.Equal(t, float32(0.1), a.Dropout)
		})
	}
}
