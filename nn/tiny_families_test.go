package nn_test

import "maps"

// Small models for what the other families lack: other places of norms, the model's
// own dropout, fused projections, clamps, projections around the layers.
func init() {
	const sizes = `"hidden_size":64,"intermediate_size":96,"num_hidden_layers":2,"num_attention_heads":4,"vocab_size":97`
	const dropout = `"attention_dropout":0.2,"residual_dropout":0.1`
	maps.Copy(tinyConfigs, map[string]string{
		"starcoder2, dropout": `{"model_type":"starcoder2",` + sizes + `,"num_key_value_heads":2,"sliding_window":5,"embedding_dropout":0.1,` + dropout + `}`,
		"opt": `{"model_type":"opt","hidden_size":64,"ffn_dim":96,"num_hidden_layers":2,"num_attention_heads":4,"vocab_size":97,
			"max_position_embeddings":40,"attention_dropout":0.2}`,
		"opt, norms of sums, projections": `{"model_type":"opt","hidden_size":64,"ffn_dim":96,"num_hidden_layers":2,"num_attention_heads":4,"vocab_size":97,
			"max_position_embeddings":40,"word_embed_proj_dim":32,"do_layer_norm_before":false}`,
		"phi":      `{"model_type":"phi",` + sizes + `,"num_key_value_heads":2,"qk_layernorm":true,"resid_pdrop":0.1,"embd_pdrop":0.1,"attention_dropout":0.2}`,
		"phi3":     `{"model_type":"phi3",` + sizes + `,"num_key_value_heads":2,"partial_rotary_factor":0.75,"sliding_window":5,"resid_pdrop":0.1}`,
		"stablelm": `{"model_type":"stablelm",` + sizes + `,"num_key_value_heads":2,"qk_layernorm":true,"use_qkv_bias":true,"hidden_dropout":0.1}`,
		"stablelm, parallel": `{"model_type":"stablelm",` + sizes + `,"num_key_value_heads":2,"qk_layernorm":true,"use_parallel_residual":true,
			"hidden_dropout":0.1}`,
		"olmo":     `{"model_type":"olmo",` + sizes + `,"num_key_value_heads":2,"clip_qkv":0.5}`,
		"olmo2":    `{"model_type":"olmo2",` + sizes + `,"num_key_value_heads":2}`,
		"olmo3":    `{"model_type":"olmo3",` + sizes + `,"num_key_value_heads":2,"layer_types":["sliding_attention","full_attention"],"sliding_window":5}`,
		"granite":  `{"model_type":"granite",` + sizes + `,"embedding_multiplier":3,"residual_multiplier":0.5,"attention_multiplier":0.3,"logits_scaling":2}`,
		"arcee":    `{"model_type":"arcee",` + sizes + `}`,
		"seed_oss": `{"model_type":"seed_oss",` + sizes + `,"num_key_value_heads":2,"head_dim":24}`,
		"exaone4":  `{"model_type":"exaone4",` + sizes + `,"num_key_value_heads":2,"sliding_window":5,"sliding_window_pattern":2}`,
		"nemotron": `{"model_type":"nemotron",` + sizes + `,"num_key_value_heads":2}`,
		"hunyuan":  `{"model_type":"hunyuan_v1_dense",` + sizes + `,"num_key_value_heads":2,"tie_word_embeddings":true}`,
		"smollm3":  `{"model_type":"smollm3",` + sizes + `,"num_key_value_heads":2,"no_rope_layers":[1,0]}`,
	})
}
