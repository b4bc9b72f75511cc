package export

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/bindings/cpu"
	"qlora/checkpoint"
	"qlora/internal/gguf"
	"qlora/lora"
	"qlora/nn"
	"qlora/nn/family"
)

const chatTemplate = `{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}`

// chatModel copies the demo's model and gives it a chat template.
func chatModel(t *testing.T, template string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} {
		data, err := os.ReadFile(filepath.Join("../../demo/base", name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o644))
	}
	if template != "" {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "chat_template.jinja"), []byte(template), 0o644))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "generation_config.json"), []byte(`{"eos_token_id": [1], "temperature": 0.5}`), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "LICENSE"), []byte("Do as you like.\n"), 0o644))
	return dir
}

func device(t *testing.T) *cpu.Device {
	t.Helper()
	dev, err := cpu.New(cpu.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { dev.Close() })
	return dev
}

// newAdapter writes an adapter with random factors for the model in dir.
func newAdapter(t *testing.T, dir string) string {
	t.Helper()
	dev := device(t)
	model, err := family.ReadConfig(dir)
	require.NoError(t, err)
	base, err := checkpoint.Open(dir)
	require.NoError(t, err)
	defer base.Close()
	config := lora.DefaultConfig()
	config.Init = lora.InitRandom
	tuned, err := lora.Assemble(model, base, nn.Options{}, &config, dev.Info())
	require.NoError(t, err)
	tuned.Plan(dev, nn.Shapes{})
	require.NoError(t, tuned.Load(dev, lora.Values{Base: base, Seed: 1}))
	defer tuned.Close()
	out := t.TempDir()
	require.NoError(t, tuned.Adapters.Save(dev, out))
	return out
}

func exported(t *testing.T, o Options) []string {
	t.Helper()
	work, err := Open(o, device(t).LowRank)
	require.NoError(t, err)
	defer work.Close()
	require.NoError(t, work.Write(t.Context(), nil))
	return work.Notes()
}

func TestOllamaFolder(t *testing.T) {
	model := chatModel(t, chatTemplate)
	out := filepath.Join(t.TempDir(), "new", "walter")
	exported(t, Options{Format: "ollama", Model: model, OutputDir: out, OutType: "q8_0"})
	text, err := os.ReadFile(filepath.Join(out, "Modelfile"))
	require.NoError(t, err)
	assert.Equal(t, `FROM "./model.gguf"
TEMPLATE """{{ if .System }}[system]{{ .System }}</s>{{ end }}
{{- range $i, $_ := .Messages }}
{{- $last := eq (len (slice $.Messages $i)) 1 }}
{{- if eq .Role "user" }}[user]{{ .Content }}</s>{{ else if eq .Role "assistant" }}[assistant]{{ .Content }}
{{- if not $last }}</s>{{ end }}
{{- end }}
{{- if and $last (ne .Role "assistant") }}[assistant]{{ end }}
{{- end }}"""
PARAMETER temperature 0.5
PARAMETER stop "</s>"
PARAMETER stop "[user]"
LICENSE """Do as you like.
"""
`, string(text))
	file, err := gguf.Open(filepath.Join(out, "model.gguf"))
	require.NoError(t, err)
	require.NoError(t, file.Close())
	requireFiles(t, out, "Modelfile", "model.gguf")
}

func requireFiles(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	require.ElementsMatch(t, names, got)
}

// TestOllamaStore writes into the store of OLLAMA_MODELS, and into a folder that becomes
// one.
func TestOllamaStore(t *testing.T) {
	model := chatModel(t, chatTemplate)
	adapter := newAdapter(t, model)
	store := t.TempDir()
	t.Setenv("OLLAMA_MODELS", store)
	layers := func(dir string) map[string]bool {
		text, err := os.ReadFile(filepath.Join(dir, "manifests/registry.ollama.ai/library/walter/1"))
		require.NoError(t, err)
		var m struct {
			Layers []struct{ MediaType, Digest string }
		}
		require.NoError(t, json.Unmarshal(text, &m))
		kinds := map[string]bool{}
		for _, l := range m.Layers {
			kinds[l.MediaType] = true
			require.FileExists(t, filepath.Join(dir, "blobs", "sha256-"+l.Digest[7:]))
		}
		return kinds
	}
	exported(t, Options{Format: "ollama", Model: model, Adapters: []string{adapter}, OllamaName: "walter:1", OutType: "q8_0"})
	want := map[string]bool{
		"application/vnd.ollama.image.model": true, "application/vnd.ollama.image.template": true,
		"application/vnd.ollama.image.license": true, "application/vnd.ollama.image.params": true,
	}
	assert.Equal(t, want, layers(store))
	requireFiles(t, store, "blobs", "manifests")

	out := filepath.Join(t.TempDir(), "out")
	exported(t, Options{Format: "ollama", Model: model, Adapters: []string{adapter}, OllamaName: "walter:1", OutputDir: out, OutType: "q8_0", AdapterOnly: true})
	want["application/vnd.ollama.image.adapter"] = true
	assert.Equal(t, want, layers(out))
	requireFiles(t, out, "blobs", "manifests", "Modelfile", "model.gguf", "adapter.gguf")
}

// TestOllamaTemplates has templates that Ollama's language cannot write, or not as they
// are.
func TestOllamaTemplates(t *testing.T) {
	for name, c := range map[string]struct{ template, note string }{
		"none":      {"", "has no chat template"},
		"strange":   {`{% for m in messages %}{{ m.content }}{{ loop.index }}{% endfor %}`, "the Modelfile has no TEMPLATE"},
		"no system": {`{% for m in messages %}{% if m.role == "system" %}{{ raise_exception("no") }}{% endif %}[{{ m.role }}]{{ m.content }}{% endfor %}`, "no place for a system message"},
		"a date":    {`[{{ strftime_now("%d %B %Y") }}]` + chatTemplate, "TEMPLATE has today's"},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			notes := exported(t, Options{Format: "ollama", Model: chatModel(t, c.template), OutputDir: out, OutType: "q4_0"})
			require.NotEmpty(t, notes)
			assert.Contains(t, notes[len(notes)-1], c.note)
		})
	}
}

func TestFormats(t *testing.T) {
	model, full := chatModel(t, chatTemplate), t.TempDir()
	t.Setenv("OLLAMA_MODELS", "")
	t.Setenv("HOME", t.TempDir())
	require.NoError(t, os.WriteFile(filepath.Join(full, "x"), nil, 0o644))
	for want, o := range map[string]Options{
		"it can be gguf, ollama, mlx":               {Format: "onnx"},
		"`outfile` is missing":                      {Format: "gguf"},
		"`output_dir` or `ollama_name` is missing":  {Format: "ollama"},
		"it is not for format mlx":                  {Format: "mlx", OllamaName: "x", OutputDir: "y"},
		"it is not for format gguf":                 {Format: "gguf", OutFile: "x", OutputDir: "y"},
		"is not empty":                              {Format: "ollama", OutputDir: full},
		"there is no Ollama on this machine":        {Format: "ollama", OllamaName: "walter"},
		"it must be NAME, NAME:TAG":                 {Format: "ollama", OllamaName: "wal ter"},
		"it is an adapter's alone, and there are 0": {Format: "mlx", OutputDir: "y"},
		"it can be auto, ":                          {Format: "ollama", OutputDir: filepath.Join(t.TempDir(), "x"), OutType: "q9"},
	} {
		o.Model = model
		_, err := Open(o, device(t).LowRank)
		require.ErrorContains(t, err, want)
	}
}

// TestMLX writes an adapter that lora reads again.
func TestMLX(t *testing.T) {
	model := chatModel(t, "")
	adapter := newAdapter(t, model)
	out := filepath.Join(t.TempDir(), "out")
	require.Empty(t, exported(t, Options{Format: "mlx", Model: model, Adapters: []string{adapter}, OutputDir: out}))
	requireFiles(t, out, "adapter_config.json", "adapters.safetensors")
	want, err := lora.ReadConfig(adapter)
	require.NoError(t, err)
	got, err := lora.ReadConfig(out)
	require.NoError(t, err)
	assert.Equal(t, []any{want.R, want.Alpha, want.Dropout}, []any{got.R, got.Alpha, got.Dropout})
}
