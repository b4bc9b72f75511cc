package family

import (
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/checkpoint"
	"qlora/internal/formulaweights"
	"qlora/nn"
)

const recorded = "../../trainer/testdata/families"

// A folder is a modifiable copy of a recorded family's base.
type folder struct {
	config  []byte
	tensors map[string]checkpoint.Entry
}

func readFolder(t *testing.T, name string) *folder {
	t.Helper()
	weights, err := formulaweights.Read(filepath.Join(recorded, name, "weights.json"))
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "model.safetensors")
	require.NoError(t, weights.WriteBase(path))
	file, err := checkpoint.OpenFile(path)
	require.NoError(t, err)
	t.Cleanup(func() { file.Close() })
	f := &folder{tensors: map[string]checkpoint.Entry{}}
	f.config, err = os.ReadFile(filepath.Join(recorded, name, "config.json"))
	require.NoError(t, err)
	for _, name := range file.Names() {
		x, _ := file.Tensor(name)
		f.put(name, x)
	}
	return f
}

func (f *folder) put(name string, x checkpoint.Tensor) {
	f.tensors[name] = checkpoint.Entry{Name: name, DType: x.DType, Shape: x.Shape, Write: func(out io.Writer) error {
		_, err := out.Write(x.Data())
		return err
	}}
}

// add adds a tensor of zeros.
func (f *folder) add(name string, shape ...int) {
	n := 4
	for _, size := range shape {
		n *= size
	}
	f.put(name, checkpoint.NewDense(name, checkpoint.F32, shape, make([]byte, n)))
}

// rename replaces the prefix from of names by to.
func (f *folder) rename(from, to string) {
	renamed := map[string]checkpoint.Entry{}
	for name, e := range f.tensors {
		if rest, ok := strings.CutPrefix(name, from); ok {
			name = to + rest
		}
		e.Name = name
		renamed[name] = e
	}
	f.tensors = renamed
}

// open writes the folder and lays out its model.
func (f *folder) open(t *testing.T) (*nn.Model, error) {
	t.Helper()
	base := f.write(t)
	c, err := ParseConfig(base.Config())
	require.NoError(t, err)
	return nn.New(c, base, nn.Options{}, bindings.NewMemory(), bindings.Info{})
}

func (f *folder) write(t *testing.T) checkpoint.Checkpoint {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), f.config, 0o600))
	entries := slices.Collect(maps.Values(f.tensors))
	require.NoError(t, checkpoint.WriteFile(filepath.Join(dir, "model.safetensors"), entries, nil))
	base, err := checkpoint.Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() { base.Close() })
	return base
}

// TestUnread checks that a tensor the model would ignore is an error.
func TestUnread(t *testing.T) {
	for _, c := range []struct {
		base   string
		change func(f *folder)
		want   string // "": nothing is wrong
	}{
		{"llama", func(*folder) {}, ""},
		{"relative", func(*folder) {}, ""},
		{"relative", func(f *folder) { f.add("model.layers.1.self_attn.q_norm.weight", 32) }, `tensor "model.layers.1.self_attn.q_norm.weight" is not implied by config.json and would be ignored`},
		{"llama", func(f *folder) { f.add("model.layers.2.input_layernorm.weight", 64) }, `tensor "model.layers.2.input_layernorm.weight" is not implied`},
		{"llama", func(f *folder) { f.add("lm_head.bias", 128) }, `tensor "lm_head.bias" is not implied`},
		{"llama", func(f *folder) { f.add("model.embed_positions.weight", 128, 64) }, `tensor "model.embed_positions.weight" is not implied`},
		{"llama", func(f *folder) { f.add("model.layers.0.self_attn.rotary_emb.inv_freq", 8) }, ""},
		{"llama", func(f *folder) { delete(f.tensors, "model.norm.weight") }, `has no tensor "model.norm.weight", required by config.json`},
		{"llama", func(f *folder) { f.add("model.norm.weight", 65) }, `tensor "model.norm.weight" has shape [65]; config.json implies [64]`},
		{"gemma3", func(*folder) {}, ""},
		{"gemma3", func(f *folder) { f.add("language_model.model.layers.0.self_attn.sinks", 4) }, `tensor "language_model.model.layers.0.self_attn.sinks" is not implied`},
		{"qwen3_vl", func(f *folder) { f.add("model.visual.more.weight", 4) }, ""},
	} {
		f := readFolder(t, c.base)
		c.change(f)
		_, err := f.open(t)
		if c.want == "" {
			require.NoError(t, err, c.base)
		} else {
			require.ErrorContains(t, err, c.want, c.base)
		}
	}
}

// TestNamesOfVision checks that the text part is found under the names of transformers 4
// and 5, and that other modules are ignored.
func TestNamesOfVision(t *testing.T) {
	for _, c := range []struct{ base, from, to, beside string }{
		{"gemma3", "", "", "vision_tower."},
		{"gemma3", "language_model.model.", "model.language_model.", "vision_tower."},
		{"mistral3", "", "", "vision_tower."},
		{"mistral3", "language_model.lm_head.", "lm_head.", "vision_tower."},
		{"qwen2_vl", "", "", "visual."},
		{"qwen2_vl", "model.", "model.language_model.", "visual."},
		{"qwen2_5_vl", "", "", "visual."},
		{"qwen3_vl", "", "", "model.visual."},
	} {
		f := readFolder(t, c.base)
		if c.from != "" {
			f.rename(c.from, c.to)
		}
		m, err := f.open(t)
		require.NoError(t, err, "%s %s", c.base, c.to)
		for _, x := range m.Tensors() {
			require.Contains(t, f.tensors, x.Name)
			require.True(t, strings.HasPrefix(x.Weight, "model.language_model.") || x.Weight == "lm_head.weight", x.Weight)
		}
		unread := m.Unread()
		require.Len(t, unread, len(f.tensors)-len(m.Tensors()))
		require.True(t, slices.ContainsFunc(unread, func(name string) bool { return strings.HasPrefix(name, c.beside) }))
	}
}

// TestTied checks that a head that differs from the embedding is not tied to it.
func TestTied(t *testing.T) {
	f := readFolder(t, "gemma")
	same := f.tensors["model.embed_tokens.weight"]
	same.Name = "lm_head.weight"
	f.tensors[same.Name] = same
	m, err := f.open(t)
	require.NoError(t, err)
	require.True(t, m.Tied())

	f.add("lm_head.weight", same.Shape...)
	m, err = f.open(t)
	require.NoError(t, err)
	require.False(t, m.Tied())
	require.False(t, m.Config.Tied)
}

// TestSaveBeside checks that full fine-tuning writes modules outside the transformer
// unchanged and keeps the folder's names.
func TestSaveBeside(t *testing.T) {
	for _, name := range []string{"gemma3", "qwen2_vl"} {
		base := readFolder(t, name).write(t)
		dev, err := cpu.New(cpu.Options{Kernels: "gonum"})
		require.NoError(t, err)
		c, err := ParseConfig(base.Config())
		require.NoError(t, err)
		memory := bindings.NewMemory()
		m, err := nn.New(c, base, nn.Options{Train: true}, memory, dev.Info())
		require.NoError(t, err)
		m.Prepare(dev, nn.Shapes{Generate: 1})
		require.NoError(t, memory.Commit(dev))
		defer memory.Close()
		require.NoError(t, m.Load(dev, base, nil))
		dir := t.TempDir()
		require.NoError(t, m.Save(dev, dir))
		saved, err := checkpoint.Open(dir)
		require.NoError(t, err)
		defer saved.Close()
		require.Equal(t, base.Names(), saved.Names())
		for _, tensor := range base.Names() {
			want, err := base.Tensor(tensor)
			require.NoError(t, err)
			got, err := saved.Tensor(tensor)
			require.NoError(t, err)
			require.Equal(t, want.Data(), got.Data(), tensor)
		}
	}
}

// TestUnknown checks that an unknown model_type is read as Llama's if its keys are.
func TestUnknown(t *testing.T) {
	const keys = `{"model_type":"orion","rms_norm_eps":1e-5,"num_attention_heads":4,"intermediate_size":96,"hidden_size":64`
	c, err := ParseConfig([]byte(keys + `,"vocab_size":97,"tie_word_embeddings":false,"auto_map":{"AutoConfig":"x"},"attention_bias":true}`))
	require.NoError(t, err)
	require.Equal(t, `model_type "orion" is unknown; all its keys are Llama's, so it is read as llama`, c.Note)
	for more, want := range map[string]string{
		`,"num_experts":8}`:                              `model_type "orion" is not supported; docs/models.md lists the families that are; it is no llama, whose config has no num_experts 8`,
		`,"qk_layernorm":true}`:                          `it is no llama, whose config has no qk_layernorm true`,
		`,"hidden_act":"mish"}`:                          `read as a llama, hidden_act "mish" is not supported`,
		`,"rms_norm_eps":null}`:                          `model_type "orion" is not supported; `,
		`,"rope_scaling":{"type":"dynamic","factor":2}}`: `read as a llama, rope_type "dynamic" is not supported`,
	} {
		_, err := ParseConfig([]byte(keys + more))
		require.ErrorContains(t, err, want, more)
	}
}
