package trainer

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings/cpu"
	"qlora/checkpoint"
	"qlora/lora"
	"qlora/trainer/dataset"
)

const tinyConfig = `{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "float32",
 "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
 "num_key_value_heads": 2, "vocab_size": 96, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
 "rope_theta": 10000.0, "tie_word_embeddings": false, "hidden_act": "silu", "bos_token_id": 1, "eos_token_id": 2}`

// writeTinyModel writes a Llama of two layers with random weights.
func writeTinyModel(dir string) error {
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
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(tinyConfig), 0o644); err != nil {
		return err
	}
	return checkpoint.WriteFile(filepath.Join(dir, "model.safetensors"), entries, nil)
}

// tinyRecords are sequences that count upwards from different numbers: a model
// can learn them.
func tinyRecords(n int) []dataset.Example {
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

func openTiny(t testing.TB) *Model {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, writeTinyModel(dir))
	m, err := OpenModel(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	m.Name = "tiny"
	return m
}

// tinyRun is a short QLoRA run with dropout, accumulation and a partial window.
func tinyRun(t testing.TB) Run {
	t.Helper()
	m := openTiny(t)
	m.LoadIn4Bit()
	m.ApplyLora(lora.Config{R: 4, Alpha: 8, Dropout: 0.1, Init: lora.InitDefault, Targets: lora.Targets{Names: []string{"q_proj", "v_proj", "down_proj"}}})
	a := DefaultArgs()
	a.OutputDir = filepath.Join(t.TempDir(), "out")
	a.BatchSize, a.Accumulation, a.Epochs, a.LearningRate = 2, 2, 2, 1e-2
	a.LoggingSteps, a.SaveSteps, a.EvalStrategy, a.EvalSteps = 2, 3, strategySteps, 3
	dev, err := cpu.New(cpu.Options{Threads: 1})
	require.NoError(t, err)
	return Run{Model: m, Args: a, TrainSet: tinyRecords(13), EvalSet: tinyRecords(5), Device: dev}
}

// fewer are every fourth of the cases where -short asks for less: the race detector
// makes a run ten times as slow, and the same goroutines meet in each.
func fewer[T any](cases []T) []T {
	if !testing.Short() {
		return cases
	}
	var some []T
	for i := 0; i < len(cases); i += 4 {
		some = append(some, cases[i])
	}
	return some
}
