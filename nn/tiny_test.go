package nn_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/checkpoint"
	"qlora/internal/philox"
	"qlora/internal/tinymodel"
	"qlora/nn"
	"qlora/nn/family"
)

// tinyConfigs holds small models of every family for tests without trained weights.
var tinyConfigs = map[string]string{
	"llama": `{"model_type":"llama","hidden_size":64,"intermediate_size":96,"num_hidden_layers":3,"num_attention_heads":4,
		"num_key_value_heads":2,"vocab_size":97,"tie_word_embeddings":true}`,
	"llama untied, biases": `{"model_type":"llama","hidden_size":64,"intermediate_size":96,"num_hidden_layers":2,"num_attention_heads":4,
		"head_dim":24,"vocab_size":97,"attention_bias":true,"mlp_bias":true}`,
	"mistral": `{"model_type":"mistral","hidden_size":64,"intermediate_size":96,"num_hidden_layers":2,"num_attention_heads":4,
		"num_key_value_heads":2,"vocab_size":97,"sliding_window":5}`,
	"qwen2": `{"model_type":"qwen2","hidden_size":64,"intermediate_size":96,"num_hidden_layers":2,"num_attention_heads":4,
		"num_key_value_heads":2,"vocab_size":97,"use_sliding_window":true,"sliding_window":4,"max_window_layers":1}`,
	"qwen3": `{"model_type":"qwen3","hidden_size":64,"intermediate_size":96,"num_hidden_layers":2,"num_attention_heads":4,
		"num_key_value_heads":2,"head_dim":32,"vocab_size":97,"tie_word_embeddings":true}`,
	"gpt2, its dropouts": `{"model_type":"gpt2","n_embd":64,"n_layer":2,"n_head":4,"vocab_size":97,"n_positions":64}`,
	"gptj, dropouts": `{"model_type":"gptj","n_embd":64,"n_layer":2,"n_head":4,"vocab_size":97,"rotary_dim":8,"resid_pdrop":0.2,"embd_pdrop":0.1,
		"attn_pdrop":0.1}`,
	"gpt_neox, dropouts": `{"model_type":"gpt_neox","hidden_size":64,"intermediate_size":128,"num_hidden_layers":2,"num_attention_heads":4,"vocab_size":97,
		"hidden_dropout":0.2,"attention_dropout":0.1}`,
	"falcon, dropout of the sum": `{"model_type":"falcon","hidden_size":64,"num_hidden_layers":2,"num_attention_heads":4,"vocab_size":97,"hidden_dropout":0.2}`,
	"bloom, dropouts, residuals of the norms": `{"model_type":"bloom","hidden_size":64,"n_layer":2,"n_head":4,"vocab_size":97,"hidden_dropout":0.2,
		"attention_dropout":0.1,"apply_residual_connection_post_layernorm":true}`,
}

// whole returns modules that can be trained next to adapters: the embedding, the
// head, and, if they have weights, a norm of each layer and the last norm.
func whole(t testing.TB, dir string) []string {
	t.Helper()
	c, err := family.ReadConfig(dir)
	require.NoError(t, err)
	m := c.Compose()
	first := m.Layers[0].Branches[0]
	names := []string{m.Embedding.Name, m.Head.Name}
	for _, n := range []*nn.Norm{first.Norm, first.PostNorm, m.Head.Norm} {
		if n != nil && !n.Plain {
			names = append(names, n.Name)
		}
	}
	for i, name := range names {
		names[i] = name[strings.LastIndex(name, ".")+1:]
	}
	return names
}

// writeTiny writes a model folder with random weights and returns its path.
func writeTiny(t testing.TB, config string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, tinymodel.Write(dir, config, tinymodel.Normal(0.15)))
	return dir
}

// tiny is a loaded model on the CPU with its trained parameters.
type tiny struct {
	*nn.Model
	dev    bindings.Device
	params []bindings.Param
	mem    *bindings.Memory
}

func loadTiny(t testing.TB, dir string, options nn.Options, rank int, shapes nn.Shapes) *tiny {
	t.Helper()
	return loadTinyWith(t, dir, options, shapes, func(m *nn.Model) {
		if rank > 0 {
			attach(m, rank)
		}
	})
}

// loadTinyWith calls put to attach adapters.
func loadTinyWith(t testing.TB, dir string, options nn.Options, shapes nn.Shapes, put func(*nn.Model)) *tiny {
	t.Helper()
	cfg, err := family.ReadConfig(dir)
	require.NoError(t, err)
	base, err := checkpoint.Open(dir)
	require.NoError(t, err)
	defer base.Close()
	dev, err := cpu.New(cpu.Options{Kernels: "gonum"})
	require.NoError(t, err)
	mem := bindings.NewMemory()
	m, err := nn.New(cfg, base, options, mem, dev.Info())
	require.NoError(t, err)
	put(m)
	params := m.Parameters(bindings.OptimizerState{Rule: bindings.AdamW{}})
	m.Prepare(dev, shapes)
	require.NoError(t, mem.Commit(dev))
	t.Cleanup(mem.Close)
	require.NoError(t, m.Load(dev, base, nil))
	for i, p := range m.Projections() {
		if p.Adapter == nil {
			continue
		}
		for j, x := range []bindings.Tensor{p.Adapter.A, p.Adapter.B, p.Adapter.Magnitude} {
			if x.Absent() {
				continue
			}
			values := make([]float32, x.Len())
			philox.Normal(values, 2, uint32(3*i+j), 0.1)
			for k := range values {
				values[k] += float32(j / 2) // magnitudes are around 1
			}
			require.NoError(t, dev.Write(x, nn.Float32Bytes(values)))
		}
	}
	m.Derive(dev)
	return &tiny{Model: m, dev: dev, params: params, mem: mem}
}

// read returns the elements of a float32 tensor.
func (m *tiny) read(t testing.TB, x bindings.Tensor) []float32 {
	t.Helper()
	raw := make([]byte, x.Bytes())
	require.NoError(t, m.dev.Read(raw, x))
	out := make([]float32, x.Len())
	nn.Decode(out, raw, bindings.F32)
	return out
}

// randomBatch returns sequences of the given lengths; the first label of each and a
// few others are ignored.
func randomBatch(vocabulary int, lengths ...int) *nn.Batch {
	var ids, labels [][]int32
	for s, n := range lengths {
		id, label := make([]int32, n), make([]int32, n)
		for i := range id {
			r := philox.Block([2]uint32{5}, [4]uint32{uint32(s), uint32(i)})
			id[i] = int32(r[0] % uint32(vocabulary))
			label[i] = id[i]
			if i == 0 || r[1]%5 == 0 {
				label[i] = bindings.IgnoreLabel
			}
		}
		ids, labels = append(ids, id), append(labels, label)
	}
	return nn.NewBatch(ids, labels)
}
