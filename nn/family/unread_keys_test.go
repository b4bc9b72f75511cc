package family

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/checkpoint"
)

// TestUnreadKeys checks that a key that is set and not read is noted by name, and that
// no config.json of a published family has one.
func TestUnreadKeys(t *testing.T) {
	for _, c := range []struct{ json, want string }{
		{`"future_attention": true, "another": [1]`, "another, future_attention"},
		{`"future_attention": false, "another": null, "third": 0, "fourth": [], "fifth": ""`, ""},
		{`"unsloth_fixed": true, "do_sample": true`, ""},
		{`"a1": 1, "a2": 1, "a3": 1, "a4": 1, "a5": 1, "a6": 1`, "a1, a2, a3, a4, a5, …"},
	} {
		got, err := ParseConfig([]byte(`{"model_type": "llama", ` + c.json + `}`))
		require.NoError(t, err)
		if c.want == "" {
			require.Empty(t, got.Note, c.json)
			continue
		}
		require.Contains(t, got.Note, "config.json sets "+c.want+", which is not read")
	}
	text := `{"model_type": "gemma3", "text_config": {"model_type": "gemma3_text", "future_attention": true}}`
	got, err := ParseConfig([]byte(text))
	require.NoError(t, err)
	require.Contains(t, got.Note, "future_attention")

	folders, err := filepath.Glob(filepath.Join(recorded, "*", "config.json"))
	require.NoError(t, err)
	require.NotEmpty(t, folders)
	for _, path := range folders {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		c, err := ParseConfig(text)
		require.NoError(t, err)
		require.NotContains(t, c.Note, "not read", path)
	}
}

// TestTensorsOfNoPart checks that tensors that no part reads are noted by name, and so
// is the head of a tied model that has its own.
func TestTensorsOfNoPart(t *testing.T) {
	notes := func(f *folder) []string {
		m, err := f.open(t)
		require.NoError(t, err)
		return m.Notes()
	}
	f := readFolder(t, "llama")
	require.Empty(t, notes(f))
	f.add("value_head.summary.weight", 1)
	got := notes(f)
	require.Len(t, got, 1)
	require.Contains(t, got[0], "does not read: value_head.summary.weight (1 in all)")

	f = readFolder(t, "llama")
	tied, err := checkpoint.EditConfig(f.config, map[string]any{"tie_word_embeddings": true})
	require.NoError(t, err)
	f.config = tied
	got = notes(f)
	require.Len(t, got, 1)
	require.Contains(t, got[0], "has a lm_head.weight of its own that differs from the embedding")
}
