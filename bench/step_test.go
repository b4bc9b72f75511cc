package bench

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/internal/halffloat"
	"qlora/internal/nf4"
	"qlora/internal/philox"
	"qlora/internal/safetensors"
	"qlora/lora"
	"qlora/nn"
)

// shape135M is the architecture of a Llama of 135 million parameters.
const shape135M = `{"model_type": "llama", "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9,
	"num_key_value_heads": 3, "vocab_size": 49152, "tie_word_embeddings": true, "dtype": "bfloat16", "rms_norm_eps": 1e-5}`

// BenchmarkStep is a whole QLoRA step of a model of 135M with random weights,
// forward, backward and update: NF4 with double quantization, rank 8 on all
// linear layers, 4 sequences of 256 tokens, by recompute policy.
func BenchmarkStep(b *testing.B) {
	dir := b.TempDir()
	writeModel(b, dir, shape135M)
	for _, policy := range []nn.Recompute{nn.RecomputeNone, nn.RecomputeMLP, nn.RecomputeLayer} {
		b.Run(policy.String(), func(b *testing.B) { step(b, dir, policy) })
	}
}

func step(b *testing.B, dir string, policy nn.Recompute) {
	dev, err := cpu.New(cpu.Options{})
	require.NoError(b, err)
	cfg, err := nn.ReadConfig(dir)
	require.NoError(b, err)
	base, err := safetensors.OpenFolder(dir)
	require.NoError(b, err)
	defer base.Close()
	mem := bindings.NewMemory()
	options := nn.Options{Recompute: policy, Quantize: &bindings.QuantizeOptions{Kind: nf4.NF4, BlockSize: 64, Double: true}}
	m, err := nn.New(cfg, base, options, mem, dev.Info())
	require.NoError(b, err)
	adapters, err := lora.Attach(m, mem, lora.Config{R: 8, Alpha: 16, Init: lora.InitDefault, Targets: lora.ParseTargets("all-linear")})
	require.NoError(b, err)
	rule := bindings.AdamW{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}
	params := m.Parameters(bindings.State{Rule: rule})
	clip := mem.Arena(bindings.Optimizer).New(bindings.F32, 1, 2)
	batch := randomBatch(cfg.Vocabulary, 4, 256)
	m.Prepare(dev, nn.Shapes{Train: []*nn.Batch{batch}})
	require.NoError(b, mem.Commit(dev))
	defer mem.Close()
	require.NoError(b, m.Load(dev, base, nil))
	require.NoError(b, adapters.Init(dev, 1))

	start, steps := time.Now(), 0
	for b.Loop() {
		steps++
		for _, p := range params {
			dev.Zero(p.Grad)
		}
		require.NoError(b, m.Train(dev, batch, 1/float32(batch.Predicted()), bindings.Random{Train: true, Step: uint32(steps)}))
		dev.GradNorm(&bindings.GradNorm{Params: params, Max: 1, Out: clip})
		dev.Optimize(&bindings.Optimize{Params: params, Rule: rule, LR: 2e-4, Step: steps, Clip: clip})
		_, err := m.Stats(dev)
		require.NoError(b, err)
	}
	b.ReportMetric(float64(batch.Tokens()*steps)/time.Since(start).Seconds(), "tokens/s")
	b.ReportMetric(float64(mem.Plan().Total())/(1<<20), "MiB")
}

func randomBatch(vocabulary, sequences, length int) *nn.Batch {
	ids := make([][]int32, sequences)
	for s := range ids {
		ids[s] = make([]int32, length)
		for i := range ids[s] {
			ids[s][i] = int32(philox.Block(philox.Key(1), [4]uint32{uint32(s), uint32(i)})[0] % uint32(vocabulary))
		}
	}
	return nn.NewBatch(ids, ids)
}

// writeModel writes a bfloat16 model folder of random weights.
func writeModel(b *testing.B, dir, config string) {
	b.Helper()
	require.NoError(b, os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o644))
	var c struct {
		Hidden       int `json:"hidden_size"`
		Intermediate int `json:"intermediate_size"`
		Layers       int `json:"num_hidden_layers"`
		Heads        int `json:"num_attention_heads"`
		KVHeads      int `json:"num_key_value_heads"`
		Vocabulary   int `json:"vocab_size"`
	}
	require.NoError(b, json.Unmarshal([]byte(config), &c))
	var entries []safetensors.Entry
	add := func(name string, shape ...int) {
		stream := uint32(len(entries))
		entries = append(entries, safetensors.Entry{Name: name, DType: "BF16", Shape: shape, Write: func(w io.Writer) error {
			return writeNormal(w, shape, stream)
		}})
	}
	kv := c.Hidden / c.Heads * c.KVHeads
	add("model.embed_tokens.weight", c.Vocabulary, c.Hidden)
	add("model.norm.weight", c.Hidden)
	for i := range c.Layers {
		layer := "model.layers." + strconv.Itoa(i) + "."
		add(layer+"input_layernorm.weight", c.Hidden)
		add(layer+"post_attention_layernorm.weight", c.Hidden)
		add(layer+"self_attn.q_proj.weight", c.Hidden, c.Hidden)
		add(layer+"self_attn.k_proj.weight", kv, c.Hidden)
		add(layer+"self_attn.v_proj.weight", kv, c.Hidden)
		add(layer+"self_attn.o_proj.weight", c.Hidden, c.Hidden)
		add(layer+"mlp.gate_proj.weight", c.Intermediate, c.Hidden)
		add(layer+"mlp.up_proj.weight", c.Intermediate, c.Hidden)
		add(layer+"mlp.down_proj.weight", c.Hidden, c.Intermediate)
	}
	require.NoError(b, safetensors.Write(filepath.Join(dir, safetensors.SingleFile), entries, nil))
}

// writeNormal writes values around 0, or around 1 for the vectors, the norms.
func writeNormal(w io.Writer, shape []int, stream uint32) error {
	n := 1
	for _, s := range shape {
		n *= s
	}
	values, halves := make([]float32, n), make([]uint16, n)
	philox.Normal(values, 1, stream, 0.04)
	if len(shape) == 1 {
		for i := range values {
			values[i]++
		}
	}
	halffloat.Float32ToBF16(halves, values)
	out := make([]byte, 0, 2*n)
	for _, h := range halves {
		out = append(out, byte(h), byte(h>>8))
	}
	_, err := w.Write(out)
	return err
}
