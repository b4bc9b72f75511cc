// Package tiny makes a model and records for tests: small enough to train in a test,
// and complete enough for a run.
package tiny

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"

	"qlora/checkpoint"
	"qlora/trainer/dataset"
)

const config = `{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "float32",
 "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
 "num_key_value_heads": 2, "vocab_size": 96, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
 "rope_theta": 10000.0, "tie_word_embeddings": false, "hidden_act": "silu", "bos_token_id": 1, "eos_token_id": 2}`

// WriteModel writes a Llama of two layers with random weights.
func WriteModel(dir string) error {
	random := rand.New(rand.NewPCG(1, 2))
	var entries []checkpoint.Entry
	add := func(name string, shape ...int) {
		n := 1
		for _, s := range shape {
			n *= s
		}
		data := make([]byte, 0, 4*n)
		for range n {
			x := float32(random.NormFloat64() * 0.08)
			if len(shape) == 1 { // a norm
				x = 1
			}
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
		}
		entries = append(entries, checkpoint.Entry{Name: name, DType: checkpoint.F32, Shape: shape, Write: func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		}})
	}
	add("model.embed_tokens.weight", 96, 64)
	for i := range 2 {
		p := fmt.Sprintf("model.layers.%d.", i)
		add(p+"self_attn.q_proj.weight", 64, 64)
		add(p+"self_attn.k_proj.weight", 32, 64)
		add(p+"self_attn.v_proj.weight", 32, 64)
		add(p+"self_attn.o_proj.weight", 64, 64)
		add(p+"mlp.gate_proj.weight", 128, 64)
		add(p+"mlp.up_proj.weight", 128, 64)
		add(p+"mlp.down_proj.weight", 64, 128)
		add(p+"input_layernorm.weight", 64)
		add(p+"post_attention_layernorm.weight", 64)
	}
	add("model.norm.weight", 64)
	add("lm_head.weight", 96, 64)
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o644); err != nil {
		return err
	}
	return checkpoint.WriteFile(filepath.Join(dir, "model.safetensors"), entries, nil)
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
