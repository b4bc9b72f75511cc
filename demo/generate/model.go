package main

import "qlora/demo/bpe"

// tokenizerConfig names the special tokens as transformers' AutoTokenizer expects them.
var tokenizerConfig = map[string]any{
	"tokenizer_class": "PreTrainedTokenizerFast",
	"bos_token":       bpe.BOS,
	"eos_token":       bpe.EOS,
}

// llama is the part of a config.json that the base needs, under Hugging Face's names.
type llama struct {
	Architectures         []string `json:"architectures"`
	ModelType             string   `json:"model_type"`
	VocabSize             int      `json:"vocab_size"`
	HiddenSize            int      `json:"hidden_size"`
	IntermediateSize      int      `json:"intermediate_size"`
	NumHiddenLayers       int      `json:"num_hidden_layers"`
	NumAttentionHeads     int      `json:"num_attention_heads"`
	NumKeyValueHeads      int      `json:"num_key_value_heads"`
	HeadDim               int      `json:"head_dim"`
	MaxPositionEmbeddings int      `json:"max_position_embeddings"`
	HiddenAct             string   `json:"hidden_act"`
	RMSNormEps            float64  `json:"rms_norm_eps"`
	RopeTheta             float64  `json:"rope_theta"`
	AttentionBias         bool     `json:"attention_bias"`
	MLPBias               bool     `json:"mlp_bias"`
	TieWordEmbeddings     bool     `json:"tie_word_embeddings"`
	InitializerRange      float64  `json:"initializer_range"`
	BOSTokenID            int      `json:"bos_token_id"`
	EOSTokenID            int      `json:"eos_token_id"`
	DType                 string   `json:"dtype"`
}

// base is the demonstration's model: a Llama of about a million parameters whose head size and inner sizes suit the kernels (multiples of 32 and 64). The
// initial weights have a large standard deviation, about 1/sqrt(hidden): in one run with the 0.02 of large models, the model had not started to look up
// facts after as many steps.
func base(vocabulary int) llama {
	return llama{
		Architectures:         []string{"LlamaForCausalLM"},
		ModelType:             "llama",
		VocabSize:             vocabulary,
		HiddenSize:            128,
		IntermediateSize:      512,
		NumHiddenLayers:       4,
		NumAttentionHeads:     4,
		NumKeyValueHeads:      2,
		HeadDim:               32,
		MaxPositionEmbeddings: 512,
		HiddenAct:             "silu",
		RMSNormEps:            1e-5,
		RopeTheta:             10000,
		TieWordEmbeddings:     true,
		InitializerRange:      0.08,
		BOSTokenID:            0,
		EOSTokenID:            1,
		DType:                 "bfloat16",
	}
}
