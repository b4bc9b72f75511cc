package merge

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/bindings/cpu"
	"qlora/checkpoint"
	"qlora/lora"
	"qlora/nn"
	"qlora/nn/family"
)

const embeddings = "testdata/embeddings"

// recordedNames returns the adapters of testdata/embeddings and the base of each.
func recordedNames(t *testing.T) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(embeddings)
	require.NoError(t, err)
	all := map[string]string{}
	for _, e := range entries {
		var c struct {
			Base string `json:"base_model_name_or_path"`
		}
		text, err := os.ReadFile(filepath.Join(embeddings, e.Name(), lora.ConfigFile))
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &c))
		all[e.Name()] = filepath.Join(models, c.Base)
	}
	require.NotEmpty(t, all)
	return all
}

// TestEmbeddings holds adapters on the ends of a model to PEFT: the logits of base and
// adapter, those of the merged folder, and the tensors of the file when it is saved
// again.
func TestEmbeddings(t *testing.T) {
	for name, base := range recordedNames(t) {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(embeddings, name)
			ids, want := recordedLogits(t, dir)
			got, saved := ended(t, base, dir, ids)
			assert.LessOrEqual(t, relative(got, want), 2e-6, "logits")
			assert.Equal(t, adapterTensors(t, dir), adapterTensors(t, saved))

			out := merged(t, Options{Model: base, Adapters: []string{dir}})
			got, _ = ended(t, out, "", ids)
			assert.LessOrEqual(t, relative(got, want), 2e-6, "logits of the merged model")
		})
	}
}

// relative returns the largest difference of a logit, relative to the largest wanted.
func relative(got, want []float32) float64 {
	return distance(got, want) / distance(want, make([]float32, len(want)))
}

func recordedLogits(t *testing.T, dir string) (ids []int32, logits []float32) {
	t.Helper()
	file, err := checkpoint.OpenFile(filepath.Join(dir, "logits.safetensors"))
	require.NoError(t, err)
	defer file.Close()
	encoded, _ := file.Tensor("input_ids")
	for data := encoded.Data(); len(data) > 0; data = data[4:] {
		ids = append(ids, int32(binary.LittleEndian.Uint32(data)))
	}
	recorded, _ := file.Tensor("logits")
	logits = make([]float32, recorded.Elements())
	recorded.Floats(logits, 0)
	return ids, logits
}

// ended returns the logits of a base with an adapter ("": none), and the folder of the
// adapter saved again.
func ended(t *testing.T, dir, adapter string, ids []int32) (logits []float32, saved string) {
	t.Helper()
	dev, err := cpu.New(cpu.Options{Kernels: "gonum"})
	require.NoError(t, err)
	config, err := family.ReadConfig(dir)
	require.NoError(t, err)
	base := open(t, dir)
	var adapted *lora.Config
	if adapter != "" {
		c, err := lora.ReadConfig(adapter)
		require.NoError(t, err)
		config, base, err = lora.Rebase(adapter, &c, config, base)
		require.NoError(t, err)
		adapted = &c
	}
	tuned, err := lora.Assemble(config, base, nn.Options{}, adapted, dev.Info())
	require.NoError(t, err)
	tuned.Plan(dev, nn.Shapes{Generate: len(ids)})
	require.NoError(t, tuned.Load(dev, lora.Values{Base: base, Adapter: adapter}))
	defer tuned.Close()
	require.NoError(t, tuned.Model.Logits(dev, ids, func(_ int, x []float32) error {
		logits = append(logits, x...)
		return nil
	}))
	if adapter != "" {
		saved = t.TempDir()
		require.NoError(t, tuned.Adapters.Save(dev, saved))
	}
	return logits, saved
}

// adapterTensors returns the bytes of the tensors of an adapter's file by name, without
// the copies that PEFT stores of modules that are trained whole.
func adapterTensors(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	file, err := checkpoint.OpenFile(filepath.Join(dir, lora.WeightsFile))
	require.NoError(t, err)
	defer file.Close()
	all := map[string][]byte{}
	for _, name := range file.Names() {
		x, _ := file.Tensor(name)
		all[name] = slices.Clone(x.Data())
	}
	for name := range all {
		module, ok := cutEnd(name, ".modules_to_save.weight")
		if ok {
			delete(all, name)
			delete(all, module+".original_module.weight")
		}
	}
	return all
}

func cutEnd(s, end string) (string, bool) {
	if len(s) < len(end) || s[len(s)-len(end):] != end {
		return s, false
	}
	return s[:len(s)-len(end)], true
}
