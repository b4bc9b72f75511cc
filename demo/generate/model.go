package main

import "qlora/demo/bpe"

// tokenizerConfig names the special tokens as transformers' AutoTokenizer expects them.
var tokenizerConfig = map[string]any{
	"tokenizer_class": "PreTrainedTokenizerFast",
	"bos_token":       bpe.BOS,
	"eos_token":       bpe.EOS,
}

// modelConfig is the base's shape: a Llama of about a million parameters whose head size and inner sizes are what the kernels are built for
// (multiples of 32 and 64).
func modelConfig(vocabulary int) map[string]any {
	return map[string]any{
		"architectures":           []string{"LlamaForCausalLM"},
		"model_type":              "llama",
		"vocab_size":              vocabulary,
		"hidden_size":             128,
		"intermediate_size":       512,
		"num_hidden_layers":       4,
		"num_attention_heads":     4,
		"num_key_value_heads":     2,
		"head_dim":                32,
		"max_position_embeddings": 512,
		"hidden_act":              "silu",
		"rms_norm_eps":            1e-5,
		"rope_theta":              10000.0,
		"attention_bias":          false,
		"mlp_bias":                false,
		"tie_word_embeddings":     true,
		"initializer_range":       0.08,
		"bos_token_id":            0,
		"eos_token_id":            1,
		"dtype":                   "bfloat16",
	}
}
