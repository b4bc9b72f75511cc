package family

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVision(t *testing.T) {
	const gemma3_4b = `,"text_config":{"hidden_size":2560,"intermediate_size":10240,"num_hidden_layers":34,"model_type":"gemma3_text",
		"rope_scaling":{"factor":8.0,"rope_type":"linear"},"sliding_window":1024},"vision_config":{"hidden_size":1152},"eos_token_id":[1,106]`
	const small = `,"text_config":{"head_dim":128,"hidden_size":5120,"intermediate_size":32768,"model_type":"mistral","num_attention_heads":32,
		"num_hidden_layers":40,"num_key_value_heads":8,"sliding_window":null,"vocab_size":131072},"tie_word_embeddings":false`
	const qwen25 = `,"hidden_size":2048,"intermediate_size":11008,"max_window_layers":70,"num_attention_heads":16,"num_hidden_layers":36,"num_key_value_heads":2,
		"rope_scaling":{"type":"mrope","mrope_section":[16,24,24]},"vocab_size":151936,"tie_word_embeddings":true,"vision_config":{"depth":32}`
	for _, c := range []struct {
		modelType, json string
		parameters      int
		tied            bool
		eos             []int32
	}{
		{"gemma3", gemma3_4b, 3_880_263_168, true, []int32{1, 106}},
		{"mistral3", small, 23_572_403_200, false, []int32{2}},
		{"mistral3", `,"tie_word_embeddings":false`, 23_572_403_200, false, []int32{2}},
		{"qwen2_5_vl", qwen25, 3_085_938_688, true, []int32{151645}},
		{"qwen2_vl", `,"text_config":{"tie_word_embeddings":true,"num_hidden_layers":1},"tie_word_embeddings":false`, 2_123_401_216, true, []int32{151645}},
	} {
		t.Run(c.modelType, func(t *testing.T) {
			got, err := ParseConfig([]byte(`{"model_type":"` + c.modelType + `"` + c.json + `}`))
			require.NoError(t, err)
			require.Equal(t, c.parameters, parameters(t, got), "parameters of the text part")
			require.Equal(t, []any{c.modelType, c.tied, c.eos, "model.language_model"}, []any{got.ModelType, got.Tied, got.EOS, got.Part})
			require.Contains(t, shapes(t, got), "model.language_model.layers.0.self_attn.q_proj.weight")
			require.Contains(t, shapes(t, got), "model.language_model.norm.weight")
			require.Contains(t, got.Note, "only the text part of")
			require.NotEmpty(t, got.Beside)
		})
	}
}

func TestVisionRefusals(t *testing.T) {
	for json, want := range map[string]string{
		`{"model_type":"mistral3","text_config":{"model_type":"mamba"}}`:                       `text_config has model_type "mamba", which is not supported for mistral3; use ministral3 or mistral`,
		`{"model_type":"gemma3","text_config":{"use_bidirectional_attention":true}}`:           "use_bidirectional_attention true is not supported for gemma3_text; leave it out",
		`{"model_type":"gemma3","text_config":7}`:                                              "text_config 7 has the wrong type",
		`{"model_type":"qwen3_vl","text_config":{"rope_scaling":{"rope_type":"dynamic"}}}`:     `rope_type "dynamic" is not supported`,
		`{"model_type":"qwen2_vl","text_config":{"layer_types":["chunked_attention"]}}`:        "layer_types names 1 layers of 80",
		`{"model_type":"mistral3","dtype":"float8","text_config":{"model_type":"ministral3"}}`: `dtype "float8" is not supported`,
	} {
		_, err := ParseConfig([]byte(json))
		require.ErrorContains(t, err, want, json)
	}
}
