package mistaken

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMistaken gives what people give as a model or an adapter.
func TestMistaken(t *testing.T) {
	for _, c := range []struct {
		name           string
		files          string // separated by spaces; NAME=CONTENT
		path           string // below the folder, or as it is if it begins with "@"
		model, adapter string // parts of the messages
	}{
		{"nothing there", "x", "none", "it does not exist: give a folder on this machine", "it does not exist"},
		{"Hub's name", "x", "@org/Name-1.5B", "`qlora fetch org/Name-1.5B` downloads it", "`qlora fetch org/Name-1.5B"},
		{"Hub's address", "x", "@https://huggingface.co/org/name/", "`qlora fetch org/name` downloads it", "`qlora fetch org/name"},
		{"address of a branch", "x", "@https://huggingface.co/org/name/tree/main", "`qlora fetch org/name` downloads it", "`qlora fetch org/name"},
		{"empty", "", "", "that folder is empty", "that folder is empty"},
		{"adapter", `adapter_config.json={"base_model_name_or_path":"org/base"} adapter_model.safetensors`, "", "that is an adapter: give it as `adapter`, and its base, org/base, as `model`", ""},
		{"adapter without its base", `adapter_config.json={`, "", "that is an adapter: give it as `adapter`, and its base as `model`", ""},
		{"adapter's weights only", `adapter_model.bin`, "", "that is an adapter", "it has no adapter_config.json"},
		{"model", `config.json={} model.safetensors`, "", "", "that is a model and no adapter: give it as `model`"},
		{"GGUF files", `a.gguf=GGUF b.gguf=GGUF`, "", "it has several GGUF files: give one of them, such as ", "it has no adapter_config.json"},
		{"a file of a model", `config.json={} model.safetensors`, "model.safetensors", "that is a file: give its folder, ", "that is a file"},
		{"a file of an adapter", `adapter_config.json={}`, "adapter_config.json", "that is a file", "that is a file: give its folder, "},
		{"pickle", `config.json={} pytorch_model.bin`, "", "it has pytorch_model.bin, a Python pickle", "that is a model"},
		{"pickle file", `consolidated.00.pth`, "consolidated.00.pth", "that is a Python pickle", "that is a file"},
		{"a shard without its index", `config.json={} model-00001-of-00002.safetensors`, "", "model.safetensors.index.json, which lists the parts, is missing", "that is a model"},
		{"config only", `config.json={}`, "", "it has config.json and no weights", "that is a model"},
		{"output folder", `checkpoint-5/config.json={} checkpoint-10/config.json={} trainer_state.json`, "", "give one of them, such as ", "checkpoint-10"},
		{"the Hub's cache", `refs/main=abc snapshots/abc/config.json={}`, "", "give the folder snapshots/abc in it", "it has no adapter_config.json"},
		{"one folder up", `model/config.json={} readme`, "", "its folder model has one: give that", "it has no adapter_config.json"},
		{"one folder above an adapter", `mine/adapter_config.json={} readme`, "", "it has no config.json", "its folder mine has one: give that"},
		{"other files", `a.txt b.txt`, "", "it has no config.json: give a Hugging Face model folder", "it has no adapter_config.json: give a PEFT folder"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "odd [name]*")
			require.NoError(t, os.Mkdir(dir, 0o755))
			for file := range strings.FieldsSeq(c.files) {
				name, content, _ := strings.Cut(file, "=")
				require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
				require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
			}
			path, absolute := strings.CutPrefix(c.path, "@")
			if !absolute {
				path = filepath.Join(dir, path)
			}
			if c.model != "" {
				require.ErrorContains(t, Model(path), c.model)
			}
			if c.adapter != "" {
				require.ErrorContains(t, Adapter(path), c.adapter)
			}
		})
	}
}
