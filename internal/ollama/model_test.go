package ollama

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/internal/ggml"
	"qlora/internal/gguf"
)

func TestParameters(t *testing.T) {
	for text, want := range map[string][]Parameter{
		``:   nil,
		`{}`: nil,
		`{"temperature": 0.6, "top_p": 0.95, "top_k": 20, "min_p": 0.05, "repetition_penalty": 1.1, "eos_token_id": 2}`: {
			{"temperature", 0.6}, {"top_k", 20}, {"top_p", 0.95}, {"min_p", 0.05}, {"repeat_penalty", 1.1},
		},
		`{"do_sample": false, "temperature": 0.6, "repetition_penalty": 1}`: {{"temperature", 0.0}, {"repeat_penalty", 1.0}},
	} {
		var config []byte
		if text != "" {
			config = []byte(text)
		}
		got, err := Parameters(config, nil)
		require.NoError(t, err)
		assert.Equal(t, want, got, text)
	}
	got, err := Parameters(nil, []string{"<|end|>"})
	require.NoError(t, err)
	assert.Equal(t, []Parameter{{"stop", []string{"<|end|>"}}}, got)
	_, err = Parameters([]byte(`{"top_k": "many"}`), nil)
	require.ErrorContains(t, err, "generation_config.json")
}

func TestModelfile(t *testing.T) {
	m := Model{
		From: "/somewhere/model.gguf", Adapter: "/somewhere/adapter.gguf", Template: "{{ .Prompt }}\n\"", License: "MIT\x00 \"\"\"quoted\"\"\"",
		Parameters: []Parameter{{"temperature", 0.6}, {"top_k", 20}, {"stop", []string{"<|end|>", "a \"b\"", "\n"}}},
	}
	assert.Equal(t, `FROM "./model.gguf"
ADAPTER "./adapter.gguf"
TEMPLATE """{{ .Prompt }}
""""
PARAMETER temperature 0.6
PARAMETER top_k 20
PARAMETER stop "<|end|>"
PARAMETER stop """a "b""""
PARAMETER stop "
"
LICENSE """MIT '''quoted'''"""
`, string(m.Modelfile()))
}

func TestParseName(t *testing.T) {
	for text, want := range map[string]string{
		"walter":                    "manifests/registry.ollama.ai/library/walter/latest",
		"walter:q4_K_M":             "manifests/registry.ollama.ai/library/walter/q4_K_M",
		"me/walter-1.5b":            "manifests/registry.ollama.ai/me/walter-1.5b/latest",
		"localhost:5000/me/w:1":     "manifests/localhost:5000/me/w/1",
		"":                          "",
		"a b":                       "",
		"../x":                      "",
		"x/..":                      "",
		"x:..":                      "",
		".x":                        "",
		"-x":                        "",
		"a/b/c/d":                   "",
		"x:":                        "",
		"me.too/x":                  "",
		string(make([]byte, 81)):    "",
		"registry/../me/x:tag/../y": "",
	} {
		n, err := ParseName(text)
		if want == "" {
			require.Error(t, err, text)
			continue
		}
		require.NoError(t, err, text)
		assert.Equal(t, want, n.path())
		again, err := ParseName(n.String())
		require.NoError(t, err)
		assert.Equal(t, n, again)
	}
}

// writeGGUF writes a file of one tensor.
func writeGGUF(t *testing.T, path string) {
	t.Helper()
	metadata := gguf.Metadata{}.Set("general.architecture", "llama").Set("general.file_type", uint32(0))
	require.NoError(t, gguf.Write(path, metadata, []gguf.Entry{{Name: "x", Type: ggml.F32, Shape: []int{3, 500}, Write: func(out io.Writer) error {
		_, err := out.Write(make([]byte, 6000))
		return err
	}}}))
}

// TestStore writes a model and reads it as Ollama does: the manifest by name, each blob by
// its digest.
func TestStore(t *testing.T) {
	dir, store := t.TempDir(), t.TempDir()
	m := Model{
		From: filepath.Join(dir, "model.gguf"), Adapter: filepath.Join(dir, "adapter.gguf"), Template: "{{ .Prompt }}", License: "MIT",
		Parameters: []Parameter{{"stop", []string{"<|end|>"}}, {"top_k", 20}},
	}
	writeGGUF(t, m.From)
	require.NoError(t, os.WriteFile(m.Adapter, []byte("GGUF adapter"), 0o644))
	name, err := ParseName("me/walter:1")
	require.NoError(t, err)
	var last, total int64
	require.NoError(t, m.Store(t.Context(), store, name, func(done, of int64) { last, total = done, of }))
	assert.Equal(t, total, last)
	require.NoError(t, m.Store(t.Context(), store, name, nil), "a second time")

	var got manifest
	text, err := os.ReadFile(filepath.Join(store, "manifests", "registry.ollama.ai", "me", "walter", "1"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &got))
	assert.Equal(t, 2, got.SchemaVersion)
	contents := map[string]string{}
	for _, l := range append(got.Layers, got.Config) {
		data, err := os.ReadFile(filepath.Join(store, "blobs", "sha256-"+l.Digest[len("sha256:"):]))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("sha256:%x", sha256.Sum256(data)), l.Digest)
		require.Equal(t, int64(len(data)), l.Size)
		contents[l.MediaType] = string(data)
	}
	weights, err := os.ReadFile(m.From)
	require.NoError(t, err)
	require.True(t, string(weights) == contents["application/vnd.ollama.image.model"], "the blob is the GGUF file")
	delete(contents, "application/vnd.ollama.image.model")
	assert.Equal(t, map[string]string{
		"application/vnd.ollama.image.adapter":           "GGUF adapter",
		"application/vnd.ollama.image.template":          "{{ .Prompt }}",
		"application/vnd.ollama.image.license":           "MIT",
		"application/vnd.ollama.image.params":            `{"stop":["\u003c|end|\u003e"],"top_k":20}` + "\n",
		"application/vnd.docker.container.image.v1+json": `{"model_format":"gguf","model_family":"llama","model_families":["llama"],"model_type":"2K","file_type":"F32","architecture":"amd64","os":"linux"}` + "\n",
	}, contents)
	entries, err := os.ReadDir(filepath.Join(store, "blobs"))
	require.NoError(t, err)
	assert.Len(t, entries, len(contents)+1, "no other file")
}

// TestStoreEnds ends a store before its manifest.
func TestStoreEnds(t *testing.T) {
	dir, store := t.TempDir(), t.TempDir()
	m := Model{From: filepath.Join(dir, "model.gguf")}
	name, err := ParseName("walter")
	require.NoError(t, err)
	require.ErrorIs(t, m.Store(t.Context(), store, name, nil), os.ErrNotExist)
	writeGGUF(t, m.From)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, m.Store(ctx, store, name, nil), context.Canceled)
	assert.NoDirExists(t, filepath.Join(store, "manifests"))
}

func TestHuman(t *testing.T) {
	for n, want := range map[int]string{999: "999", 1500: "2K", 134515008: "134.52M", 7e6: "7M", 1235814400: "1.2B", 7e9: "7B"} {
		assert.Equal(t, want, human(n))
	}
}

func FuzzParseName(f *testing.F) {
	f.Add("registry.ollama.ai/library/walter:latest")
	f.Add("../../x:y")
	f.Fuzz(func(t *testing.T, text string) {
		n, err := ParseName(text)
		if err == nil {
			require.True(t, filepath.IsLocal(n.path()), "%q is %s", text, n.path())
			require.Equal(t, 5, len(splitPath(n.path())))
		}
	})
}

func splitPath(path string) []string {
	var parts []string
	for dir := path; dir != "."; dir = filepath.Dir(dir) {
		parts = append(parts, filepath.Base(dir))
	}
	return parts
}
