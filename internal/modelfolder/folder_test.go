package modelfolder

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/internal/safetensors"
)

// writeBase makes a folder of tensors of 100, 200, … bytes.
func writeBase(t *testing.T, n int) *safetensors.Folder {
	t.Helper()
	dir := t.TempDir()
	var entries []safetensors.Entry
	for i := range n {
		data := []byte(strings.Repeat(string(rune('a'+i)), 100*(i+1)))
		entries = append(entries, safetensors.Entry{Name: fmt.Sprintf("t%02d", i), DType: safetensors.U8, Shape: []int{len(data)}, Write: func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		}})
	}
	require.NoError(t, safetensors.Write(filepath.Join(dir, safetensors.SingleFile), entries, nil))
	return open(t, dir)
}

func open(t *testing.T, dir string) *safetensors.Folder {
	t.Helper()
	f, err := safetensors.OpenFolder(dir)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func copies(base *safetensors.Folder) []Weight {
	var all []Weight
	for _, name := range base.Names() {
		all = append(all, Copy(base, name))
	}
	return all
}

func TestSplit(t *testing.T) {
	weights := copies(writeBase(t, 10))
	for _, limit := range []int64{1, 500, 1000, 1500, 1 << 20} {
		var names []string
		for _, shard := range Split(weights, limit) {
			size := int64(0)
			for _, w := range shard {
				names = append(names, w.Name)
				size += w.Held
			}
			assert.True(t, size <= limit || len(shard) == 1, "%d bytes of %d", size, limit)
		}
		assert.Len(t, names, 10)
		assert.IsIncreasing(t, names)
	}
	assert.Len(t, Split(weights, 1500), 5)
}

func TestWrite(t *testing.T) {
	base := writeBase(t, 10)
	for _, limit := range []int64{1500, 1 << 20} {
		dir := filepath.Join(t.TempDir(), "a", "b")
		side := filepath.Join(t.TempDir(), "tokenizer.json")
		require.NoError(t, os.WriteFile(side, []byte("{}"), 0o644))
		f := Folder{Config: []byte("{}"), Shards: Split(copies(base), limit), Copies: []string{side, side + ".absent"}}
		var done, total int64
		require.NoError(t, f.Write(t.Context(), dir, func(d, n int64) {
			require.Greater(t, d, done)
			done, total = d, n
		}))
		assert.Equal(t, int64(5500), done)
		assert.Equal(t, done, total)
		to := open(t, dir)
		require.Equal(t, base.Names(), to.Names())
		for _, name := range base.Names() {
			want, _ := base.Tensor(name)
			got, _ := to.Tensor(name)
			assert.Equal(t, want, got)
		}
		assert.FileExists(t, filepath.Join(dir, "config.json"))
		assert.FileExists(t, filepath.Join(dir, "tokenizer.json"))
		if limit == 1500 {
			assert.FileExists(t, filepath.Join(dir, "model-00005-of-00005.safetensors"))
			assert.NoFileExists(t, filepath.Join(dir, safetensors.SingleFile))
		}
	}
}

func TestEditConfigKeepsTheRest(t *testing.T) {
	text, err := EditConfig([]byte(`{"a": 1e-05, "b": {"c": "<x>"}, "big": 12345678901234567890, "gone": 1}`), map[string]any{"q": []int{1}, "gone": nil})
	require.NoError(t, err)
	var file map[string]any
	require.NoError(t, json.Unmarshal(text, &file))
	assert.Contains(t, file, "q")
	assert.NotContains(t, file, "gone")
	for _, want := range []string{`"a": 1e-05`, `"c": "<x>"`, `12345678901234567890`} {
		assert.Contains(t, string(text), want)
	}
}
