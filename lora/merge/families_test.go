package merge

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/internal/formulaweights"
	"qlora/lora"
	"qlora/nn"
	"qlora/nn/family"
)

const recorded = "../../trainer/testdata/families"

// recordedBase writes the base and the adapter of a recorded family.
func recordedBase(t *testing.T, name string) (base, adapter string) {
	t.Helper()
	weights, err := formulaweights.Read(filepath.Join(recorded, name, "weights.json"))
	require.NoError(t, err)
	base, adapter = t.TempDir(), t.TempDir()
	require.NoError(t, weights.WriteBase(filepath.Join(base, "model.safetensors")))
	require.NoError(t, weights.WriteAdapter(filepath.Join(adapter, lora.WeightsFile)))
	copyFile(t, filepath.Join(recorded, name, "config.json"), base)
	copyFile(t, filepath.Join(recorded, name, lora.ConfigFile), adapter)
	return base, adapter
}

func copyFile(t *testing.T, path, dir string) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.Base(path)), text, 0o600))
}

// TestFamilies merges adapters into weights that are fused, renamed in the folder,
// stored as [in, out], or in 4 bits.
func TestFamilies(t *testing.T) {
	for _, name := range []string{"gemma2", "gemma3", "mistral3", "qwen2_vl", "qwen3_vl", "gpt2", "gpt2-bare", "gpt_neox", "falcon-40b", "phi3", "cohere-qk"} {
		t.Run(name, func(t *testing.T) {
			base, adapter := recordedBase(t, name)
			holdMerge(t, base, adapter, "float32")
			if stored := filepath.Join(recorded, name, "stored"); exists(stored) {
				holdMerge(t, stored, adapter, "float32")
			}
		})
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// holdMerge compares the merged model's logits with those of the base plus adapter,
// and requires the base's tensor names and shapes.
func holdMerge(t *testing.T, base, adapter, dtype string) {
	t.Helper()
	want, without := logits(t, base, adapter), logits(t, base, "")
	out := merged(t, Options{Model: base, Adapters: []string{adapter}, DType: dtype})
	far, moved := distance(logits(t, out, ""), want), distance(without, want)
	t.Logf("logits differ by %.1e from those of base and adapter, by %.1e without the adapter", far, moved)
	assert.LessOrEqual(t, far, 1e-4)
	assert.Greater(t, moved, 1e-2, "the adapter changes almost nothing")
	assert.Equal(t, open(t, base).Names(), open(t, out).Names())
}

// TestBeside checks that weights outside the transformer are copied unchanged.
func TestBeside(t *testing.T) {
	base, adapter := recordedBase(t, "gemma3")
	before, after := digests(t, base), digests(t, merged(t, Options{Model: base, Adapters: []string{adapter}}))
	require.Len(t, after, len(before))
	for name, digest := range before {
		touched := strings.HasPrefix(name, "language_model.model.layers.") && strings.Contains(name, "_proj.")
		require.Equal(t, touched, after[name] != digest, name)
	}
}

// TestTransposed checks that a weight stored as [in, out] stays so in 16 bits, and is
// [out, in] in 4 bits, as in bitsandbytes.
func TestTransposed(t *testing.T) {
	base, adapter := recordedBase(t, "gpt2")
	const name = "transformer.h.0.mlp.c_fc.weight"
	dense, err := open(t, merged(t, Options{Model: base, Adapters: []string{adapter}})).Tensor(name)
	require.NoError(t, err)
	require.Equal(t, []int{64, 128}, dense.Shape)
	folder := merged(t, Options{Model: base, Adapters: []string{adapter}, In4Bit: new(true)})
	packed, err := open(t, folder).Tensor(name)
	require.NoError(t, err)
	require.Equal(t, [2]int{128, 64}, packed.FourBit().Shape)
	// Quantizing moves logits, but less than a transposition would.
	assert.Less(t, distance(logits(t, folder, ""), logits(t, base, adapter)), distance(logits(t, base, ""), logits(t, base, adapter)))
}

// TestHeadOfItsOwn unties the head of a tied model whose folder has other tensor
// names.
func TestHeadOfItsOwn(t *testing.T) {
	base, _ := recordedBase(t, "gemma3")
	adapter := t.TempDir()
	saveAdapter(t, base, adapter, lora.Config{R: 2, Alpha: 4, Init: lora.InitRandom, ModulesToSave: []string{"lm_head"}, Targets: lora.Targets{Names: []string{"q_proj"}}})
	out := merged(t, Options{Model: base, Adapters: []string{adapter}})
	names := open(t, out).Names()
	assert.True(t, slices.Contains(names, "lm_head.weight"))
	c, err := family.ReadConfig(out)
	require.NoError(t, err)
	assert.False(t, c.Tied)
	assert.LessOrEqual(t, distance(logits(t, out, ""), logits(t, base, adapter)), 0.05)
}

// TestTransposedModule merges a Conv1D that was trained whole and stores it in the
// base's layout.
func TestTransposedModule(t *testing.T) {
	base, _ := recordedBase(t, "gpt2")
	adapter := t.TempDir()
	saveAdapter(t, base, adapter, lora.Config{R: 2, Alpha: 4, Init: lora.InitRandom, ModulesToSave: []string{"attn.c_proj"}, Targets: lora.Targets{Names: []string{"c_fc"}}})
	out := merged(t, Options{Model: base, Adapters: []string{adapter}, DType: "float32"})
	const name = "transformer.h.0.attn.c_proj.weight"
	was, err := open(t, base).Tensor(name)
	require.NoError(t, err)
	is, err := open(t, out).Tensor(name)
	require.NoError(t, err)
	before, after := make([]float32, was.Elements()), make([]float32, is.Elements())
	was.Floats(before, 0)
	is.Floats(after, 0)
	for i := range before {
		require.Equal(t, 2*before[i], after[i], "element %d", i)
	}
	assert.LessOrEqual(t, distance(logits(t, out, ""), logits(t, base, adapter)), 1e-4)
}

// saveAdapter writes a new adapter of a base; its modules_to_save are twice the base's
// weights.
func saveAdapter(t *testing.T, base, dir string, c lora.Config) {
	t.Helper()
	dev, err := cpu.New(cpu.Options{Kernels: "gonum"})
	require.NoError(t, err)
	config, err := family.ReadConfig(base)
	require.NoError(t, err)
	f := open(t, base)
	tuned, err := lora.Assemble(config, f, nn.Options{}, &c, dev.Info())
	require.NoError(t, err)
	tuned.Plan(dev, nn.Shapes{Generate: 1})
	require.NoError(t, tuned.Load(dev, lora.Values{Base: f, Seed: 3}))
	defer tuned.Close()
	for _, saved := range tuned.Model.Saved() {
		dev.Run(&bindings.Add{X: saved.Value, Y: saved.Value, Scale: 2})
	}
	require.NoError(t, tuned.Adapters.Save(dev, dir))
}
