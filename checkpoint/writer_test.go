package checkpoint

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/internal/safetensors"
)

// writeBase writes a folder of tensors of 100, 200, … bytes.
func writeBase(t *testing.T, n int) Checkpoint {
	t.Helper()
	dir := t.TempDir()
	var entries []Entry
	for i := range n {
		data := []byte(strings.Repeat(string(rune('a'+i)), 100*(i+1)))
		entries = append(entries, Entry{Name: fmt.Sprintf("t%02d", i), DType: U8, Shape: []int{len(data)}, Write: func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		}})
	}
	require.NoError(t, Save(dir, []byte("{}"), entries))
	return open(t, dir)
}

func open(t *testing.T, dir string) Checkpoint {
	t.Helper()
	f, err := Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func copies(t *testing.T, base Checkpoint) []Weight {
	t.Helper()
	var all []Weight
	for _, name := range base.Names() {
		w, err := Copy(base, name)
		require.NoError(t, err)
		all = append(all, w)
	}
	return all
}

func TestSplit(t *testing.T) {
	weights := copies(t, writeBase(t, 10))
	for _, limit := range []int64{1, 500, 1000, 1500, 1 << 20} {
		var names []string
		for _, shard := range Split(weights, limit) {
			size := int64(0)
			for _, w := range shard {
				names = append(names, w.Name)
				size += w.bytes()
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
		side := fstest.MapFS{"tokenizer.json": &fstest.MapFile{Data: []byte("{}")}}
		f := Writer{Config: []byte("{}"), Shards: Split(copies(t, base), limit), Copies: SideFiles(side, "tokenizer.json", "absent")}
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
			want, err := base.Tensor(name)
			require.NoError(t, err)
			got, err := to.Tensor(name)
			require.NoError(t, err)
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
