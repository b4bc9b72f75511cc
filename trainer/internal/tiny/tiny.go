// Package tiny makes a model and records for tests: small enough to train in a test,
// and complete enough for a run.
package tiny

import (
	"math/rand/v2"

	"qlora/internal/tinymodel"
	"qlora/trainer/dataset"
)

const config = `{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "float32",
 "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
 "num_key_value_heads": 2, "vocab_size": 96, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
 "rope_theta": 10000.0, "tie_word_embeddings": false, "hidden_act": "silu", "bos_token_id": 1, "eos_token_id": 2}`

// WriteModel writes a Llama of two layers with random weights.
func WriteModel(dir string) error {
	return tinymodel.Write(dir, config, tinymodel.Drawn(rand.New(rand.NewPCG(1, 2)), 0.08))
}

// Records returns n sequences that count upwards from different numbers, which a model
// can learn.
func Records(n int) []dataset.Example {
	var all []dataset.Example
	for i := range n {
		var e dataset.Example
		for j := range 6 + i%5 {
			e.IDs = append(e.IDs, int32(3+(7*i+j)%90))
		}
		e.Labels = append([]int32{-100, -100}, e.IDs[2:]...)
		all = append(all, e)
	}
	return all
}
