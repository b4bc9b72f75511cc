package trainer

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/internal/generationconfig"
	"qlora/tokenizer"
	"qlora/trainer/dataset"
)

// TestEnds checks that the ends of all files of the base and the adapter count, each once.
func TestEnds(t *testing.T) {
	for _, c := range []struct {
		name, base, adapter string // generation_config.json; "": none
		template            string // "": the folder's
		want                []int32
	}{
		{"config.json, the tokenizer and the template", "", "", "", []int32{2}},
		{"generation_config.json first", `{"eos_token_id": [9, 2]}`, "", "", []int32{9, 2}},
		{"the adapter's", `{"eos_token_id": 9}`, `{"eos_token_id": [9, 8]}`, "", []int32{9, 8, 2}},
		{"another end of the template", "", "", "{% for m in messages %}{{ m.content }}{{ '<stop>' }}{% endfor %}", []int32{2, 1}},
		{"an invalid template", "", "", "{% for %}", []int32{2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, adapter := filepath.Join(t.TempDir(), "model"), t.TempDir()
			writeChatModel(t, dir)
			write := func(path, text string) {
				if text != "" {
					require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
				}
			}
			write(filepath.Join(dir, generationconfig.File), c.base)
			write(filepath.Join(adapter, generationconfig.File), c.adapter)
			write(filepath.Join(dir, "chat_template.jinja"), c.template)
			write(filepath.Join(dir, "tokenizer.json"), `{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []},
				"added_tokens": [{"id": 1, "content": "<stop>", "special": true}, {"id": 2, "content": "<end>", "special": true}]}`)
			base, err := OpenBase(dir)
			require.NoError(t, err)
			defer base.Close()
			base.Adapter = adapter
			tok, err := tokenizer.LoadFolder(dir)
			require.NoError(t, err)
			ends, err := base.Ends(tok, nil)
			require.NoError(t, err)
			require.Equal(t, c.want, ends)
		})
	}
}

// TestWithEnds checks that the file stops at the ends that labels have, and at no others.
func TestWithEnds(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "model")
	writeChatModel(t, dir)
	base, err := OpenBase(dir)
	require.NoError(t, err)
	defer base.Close()
	examples := []dataset.Example{{IDs: []int32{5, 6, 7}, Labels: []int32{dataset.Ignored, 6, 7}}}
	given := []File{{"a", nil}, {generationconfig.File, []byte(`{"top_k": 4, "eos_token_id": 2}`)}}
	files, err := base.WithEnds(given, []int32{5, 7, 9}, examples)
	require.NoError(t, err)
	require.JSONEq(t, `{"top_k": 4, "eos_token_id": [2, 7]}`, string(files[1].Data))
	require.JSONEq(t, `{"top_k": 4, "eos_token_id": 2}`, string(given[1].Data), "the caller's files stay")

	files, err = base.WithEnds(nil, []int32{7}, examples)
	require.NoError(t, err)
	require.JSONEq(t, `{"bos_token_id": 1, "eos_token_id": [2, 7]}`, string(files[0].Data))

	files, err = base.WithEnds(nil, []int32{2}, examples)
	require.NoError(t, err)
	require.Empty(t, files, "config.json says it already")
}
