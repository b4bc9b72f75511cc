package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// moreTokens are the tokens that testdata/added.py adds.
var moreTokens = []AddedToken{
	{Content: "<new>", Normalized: true},
	{Content: "word", Normalized: true},
	{Content: "<new>", Normalized: true},
	{Content: "Schön", Normalized: true},
	{Content: "the", Normalized: true},
	{Content: "<left>", LStrip: true},
	{Content: "<right>", RStrip: true},
	{Content: "<alone>", SingleWord: true, Normalized: true},
	{Content: "<L>", RStrip: true},
	{Content: "<|special|>", Special: true},
	{Content: "<s>", Special: true},
	{Content: "<pad2>", Special: true},
}

// TestAdd compares the added tokens, the ids and the texts with those of transformers, for the
// tokenizer itself and for one loaded from its files.
func TestAdd(t *testing.T) {
	for _, name := range []string{"gpt2", "llama2", "llama3", "qwen2", "unigram"} {
		t.Run(name, func(t *testing.T) {
			var want struct {
				AddedTokens json.RawMessage `json:"added_tokens"`
				Texts       []golden
			}
			data, err := os.ReadFile("testdata/added/" + name + ".json")
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(data, &want))

			before := load(t, name)
			tok, err := before.Add(moreTokens[:5])
			require.NoError(t, err)
			tok, err = tok.Add(moreTokens[5:])
			require.NoError(t, err)
			assert.NotEqual(t, before.Sum(), tok.Sum())

			files, err := tok.Definition()
			require.NoError(t, err)
			var got map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(files["tokenizer.json"], &got))
			assert.JSONEq(t, string(want.AddedTokens), string(got["added_tokens"]))

			path := filepath.Join(t.TempDir(), "tokenizer.json")
			require.NoError(t, os.WriteFile(path, files["tokenizer.json"], 0o600))
			again, err := Load(path)
			require.NoError(t, err)
			for _, tok := range []*Tokenizer{tok, again} {
				for _, g := range want.Texts {
					ids := tok.NewEncoder().Encode(nil, g.Text, true)
					assert.Equal(t, g.IDs, ids, "text %q", g.Text)
					assert.Equal(t, *g.Decoded, tok.Decode(ids, false), "text %q", g.Text)
					assert.Equal(t, *g.Skipped, tok.Decode(ids, true), "text %q", g.Text)
				}
			}
		})
	}
}

// TestAddChangesFiles checks the files beside tokenizer.json that list added tokens.
func TestAddChangesFiles(t *testing.T) {
	dir := t.TempDir()
	model := `{"model":{"vocab":{"a":0,"b":1},"type":"BPE","merges":[]},"odd":[1, 2]}`
	for name, text := range map[string]string{
		"tokenizer.json":        model,
		"tokenizer_config.json": `{"z":1,"added_tokens_decoder":{"0":{"content":"a"}},"eos_token":"a"}`,
		"added_tokens.json":     `{"a": 0}`,
		"chat_template.jinja":   "{{ x }}",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	before, err := LoadFolder(dir)
	require.NoError(t, err)
	files, err := before.Definition()
	require.NoError(t, err)
	assert.Equal(t, model, string(files["tokenizer.json"]))

	tok, err := before.Add([]AddedToken{{Content: "<&>", Special: true, LStrip: true}})
	require.NoError(t, err)
	files, err = tok.Definition()
	require.NoError(t, err)
	const flags = `"single_word":false,"lstrip":true,"rstrip":false,"normalized":false,"special":true`
	eos := `{"id":0,"content":"a",` + strings.Replace(flags, "true", "false", 1) + `}`
	assert.JSONEq(t, `{"added_tokens":[`+eos+`,{"id":2,"content":"<&>",`+flags+`}],`+model[1:], string(files["tokenizer.json"]))
	assert.Contains(t, string(files["tokenizer.json"]), "<&>")
	assert.JSONEq(t, `{"z":1,"added_tokens_decoder":{"0":{"content":"a"},"2":{"content":"<&>",`+flags+`}},"eos_token":"a"}`, string(files["tokenizer_config.json"]))
	assert.JSONEq(t, `{"a":0,"<&>":2}`, string(files["added_tokens.json"]))
	assert.Equal(t, "{{ x }}", string(files["chat_template.jinja"]))
	assert.Equal(t, "a", tok.EOSToken())
	assert.Equal(t, 3, tok.Size())
	assert.Equal(t, 2, before.Size())

	_, err = tok.Add([]AddedToken{{}})
	require.ErrorContains(t, err, "is not text")
}
