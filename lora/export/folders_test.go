package export

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/internal/formulaweights"
	"qlora/lora"
)

// The recorded families, and those of them that llama.cpp's converter was recorded on.
const (
	recorded  = "../../trainer/testdata/families"
	converted = "../../internal/llamacpp/testdata"
)

// cases returns the tiny models that llama.cpp's converter was recorded on.
func cases(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(converted, "*.json"))
	require.NoError(t, err)
	var names []string
	for _, f := range files {
		if name := strings.TrimSuffix(filepath.Base(f), ".json"); name != "none" {
			names = append(names, name)
		}
	}
	require.Greater(t, len(names), 40)
	return names
}

// folders writes the base of a case with a tokenizer, and its adapter; "" if the case has
// none.
func folders(t *testing.T, name string) (base, adapter string) {
	t.Helper()
	dir := filepath.Join(converted, name)
	if _, err := os.Stat(dir); err != nil {
		dir = filepath.Join(recorded, name)
	}
	weights, err := formulaweights.Read(filepath.Join(dir, "weights.json"))
	require.NoError(t, err)
	base = filepath.Join(t.TempDir(), name)
	require.NoError(t, os.Mkdir(base, 0o755))
	require.NoError(t, weights.WriteBase(filepath.Join(base, "model.safetensors")))
	copyFile(t, filepath.Join(dir, "config.json"), base)
	writeTokenizer(t, base)
	if _, err := os.Stat(filepath.Join(dir, lora.ConfigFile)); err == nil {
		adapter = t.TempDir()
		require.NoError(t, weights.WriteAdapter(filepath.Join(adapter, lora.WeightsFile)))
		copyFile(t, filepath.Join(dir, lora.ConfigFile), adapter)
	}
	return base, adapter
}

func copyFile(t *testing.T, path, dir string) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.Base(path)), text, 0o600))
}

// writeTokenizer writes a byte-level BPE of 128 tokens, the families' vocabulary.
func writeTokenizer(t *testing.T, dir string) {
	t.Helper()
	vocab := map[string]int{}
	for r := '!'; r <= '~'; r++ {
		vocab[string(r)] = len(vocab)
	}
	var merges [][2]string
	for _, pair := range [][2]string{{"t", "h"}, {"th", "e"}, {"a", "n"}, {"an", "d"}, {"i", "n"}, {"Ġ", "the"}} {
		for _, name := range []string{pair[0], pair[1], pair[0] + pair[1]} {
			if _, ok := vocab[name]; !ok {
				vocab[name] = len(vocab)
			}
		}
		merges = append(merges, pair)
	}
	var added []map[string]any
	for i := len(vocab); i < 128; i++ {
		added = append(added, map[string]any{"id": i, "content": fmt.Sprintf("<|%d|>", i), "special": true})
	}
	text, err := json.Marshal(map[string]any{
		"added_tokens":  added,
		"pre_tokenizer": map[string]any{"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
		"decoder":       map[string]any{"type": "ByteLevel"},
		"model":         map[string]any{"type": "BPE", "vocab": vocab, "merges": merges},
	})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tokenizer.json"), text, 0o600))
	config := `{"eos_token": "<|127|>", "chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}"}`
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tokenizer_config.json"), []byte(config), 0o600))
}

// run exports and returns the file, and token ids to compute: no more than a window that
// llama.cpp does not know has.
func run(t *testing.T, opts Options) (file string, ids []int32) {
	t.Helper()
	opts.Format = "gguf"
	if opts.OutFile == "" {
		opts.OutFile = filepath.Join(t.TempDir(), "new", "model.gguf")
	}
	job, err := NewJob(opts, reference)
	require.NoError(t, err)
	defer job.Close()
	ids = []int32{3, 17, 99, 4, 65, 2, 120, 31, 8, 77}
	for _, note := range job.Notes() {
		if strings.Contains(note, "sliding window") {
			ids = ids[:6]
		}
	}
	var done, total int64
	require.NoError(t, job.Write(t.Context(), func(d, n int64) {
		require.Greater(t, d, done)
		done, total = d, n
	}))
	require.Equal(t, total, done)
	return opts.OutFile, ids
}

// reference computes dst = scale·b·a.
func reference(dst, b, a []float32, rank int, scale float32) {
	rows, cols := len(b)/rank, len(a)/rank
	for i := range rows {
		for k := range cols {
			var sum float32
			for r := range rank {
				sum += b[i*rank+r] * a[r*cols+k]
			}
			dst[i*cols+k] = scale * sum
		}
	}
}
