package torchtune

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/internal/torchfile"
)

func TestHeadDim(t *testing.T) {
	for component, want := range map[string]int{
		"torchtune.models.llama3.lora_llama3_8b":      128,
		"torchtune.models.llama3_2.lora_llama3_2_1b":  64,
		"torchtune.models.llama3_2.qlora_llama3_2_1b": 64,
		"torchtune.models.llama3_2.lora_llama3_2_3b":  128,
		"torchtune.models.gemma.lora_gemma_2b":        256,
		"torchtune.models.gemma2.lora_gemma2_9b":      256,
		"torchtune.models.gemma2.lora_gemma2_27b":     128,
		"torchtune.models.mistral.lora_mistral_7b":    128,
	} {
		m := model{Component: component}
		assert.Equal(t, want, m.headDim(), component)
	}
	assert.Equal(t, 16, (&model{Hidden: 64, Heads: 4}).headDim())
	assert.Equal(t, 32, (&model{Hidden: 64, Heads: 4, HeadDim: 32}).headDim())
}

func TestHalves(t *testing.T) {
	assert.Equal(t, []byte{0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15}, halves([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, 8, 4))
}

func TestSplit(t *testing.T) {
	for name, want := range map[string][2]string{
		"layers.11.attn.q_proj.lora_a.weight":      {"model.layers.11.self_attn.q_proj", "lora_A.weight"},
		"layers.0.attn.output_proj.lora_b.weight":  {"model.layers.0.self_attn.o_proj", "lora_B.weight"},
		"layers.0.mlp.w2.magnitude":                {"model.layers.0.mlp.down_proj", "lora_magnitude_vector"},
		"output.lora_a.weight":                     {"lm_head", "lora_A.weight"},
		"layers.0.mlp.experts.lora_a.weight":       {},
		"decoder.layers.0.attn.q_proj.lora_a.bias": {},
		"tok_embeddings.weight":                    {},
	} {
		module, part, err := split(name)
		assert.Equal(t, want, [2]string{module, part}, name)
		assert.Equal(t, want[0] == "", err != nil, name)
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte("model:\n  _component_: torchtune.models.llama3.lora_llama3_8b\n  lora_rank: 8\n  lora_alpha: 16\n"), "layers.0.attn.q_proj.lora_b.weight", 128, 2)
	f.Add([]byte("model: {_component_: torchtune.models.qwen2.lora_qwen2, lora_rank: 4, lora_alpha: 8, embed_dim: 32, num_heads: 4}"), "layers.0.attn.k_proj.magnitude", 8, 1)
	f.Fuzz(func(t *testing.T, text []byte, name string, rows, columns int) {
		m, err := parse(text)
		if err != nil || rows < 0 || columns < 0 || rows > 1<<10 || columns > 16 {
			return
		}
		tensor := torchfile.Tensor{Name: name, DType: "F32", Shape: []int{rows, columns}, Data: make([]byte, 4*rows*columns)}
		if _, err := m.peft([]torchfile.Tensor{tensor}); err != nil {
			return
		}
		before := slices.Clone(tensor.Data)
		c, err := m.convert(tensor)
		require.True(t, err != nil || len(c.Data()) == len(before))
	})
}
