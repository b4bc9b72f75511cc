package tokenizer

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const bytesModel = "testdata/sentencepiece/bpe_bytes.model"

// TestSentencePieceFolder checks what the files around a tokenizer.model change.
func TestSentencePieceFolder(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		text  string
		want  []string
	}{
		{name: "bare", text: " the</s> the", want: []string{"▁", "▁the", "</s>", "▁the"}},
		{name: "no space after an added token", text: "<s>the", want: []string{"<s>", "t", "he"}},
		{
			name: "legacy", files: map[string]string{"tokenizer_config.json": `{"tokenizer_class":"LlamaTokenizerFast","legacy":true,"add_bos_token":true,"add_eos_token":true}`},
			text: "the</s>the", want: []string{"<s>", "▁the", "</s>", "▁the", "</s>"},
		},
		{
			name: "no prefix", files: map[string]string{"tokenizer_config.json": `{"add_prefix_space":false,"legacy":null}`},
			text: "the", want: []string{"t", "he"},
		},
		{
			name: "added_tokens_decoder", files: map[string]string{
				"tokenizer_config.json": `{"added_tokens_decoder":{"480":{"content":"<a>","special":true},"481":{"content":"the","lstrip":true},"7":{"content":"<new name>"}}}`,
				"added_tokens.json":     `{"x":482}`,
			},
			text: "x<a> the<new name>", want: []string{"▁x", "<a>", "the", "<new name>"},
		},
		{
			name: "added_tokens and the map", files: map[string]string{
				"added_tokens.json": `{"<a>":481,"<b>":480}`, "special_tokens_map.json": `{"pad_token":"<b>","additional_special_tokens":["<c>"]}`,
			},
			text: "<b><a><c>", want: []string{"<b>", "<a>", "<c>"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tok := modelFolder(t, bytesModel, tt.files)
			assert.Equal(t, tt.want, names(tok, tok.NewEncoder().Encode(nil, tt.text, true)))
			assert.Equal(t, "</s>", tok.EOSToken())
		})
	}
	tok := modelFolder(t, bytesModel, map[string]string{"special_tokens_map.json": `{"pad_token":"<pad>","eos_token":{"content":"<e>"}}`, "added_tokens.json": `{"<e>":480}`})
	pad, ok := tok.PAD()
	assert.True(t, ok)
	assert.Equal(t, int32(481), pad)
	assert.Equal(t, "<e>", tok.EOSToken())
	assert.Equal(t, "<s>", tok.Token(tok.bos))
	assert.Equal(t, map[string]string{"bos_token": "<s>", "eos_token": "<e>", "unk_token": "<unk>", "pad_token": "<pad>"}, tok.SpecialTokens())
	assert.Equal(t, "é x", tok.Decode(tok.NewEncoder().Encode(nil, "é x<e>", true), true))
}

// TestAddToModel adds tokens to a SentencePiece model, writes the folder and reads it again.
func TestAddToModel(t *testing.T) {
	before := modelFolder(t, bytesModel, map[string]string{
		"special_tokens_map.json": `{"bos_token":"<s>","eos_token":"<e>"}`, "added_tokens.json": `{"<e>":480}`, "tokenizer_config.json": `{"tokenizer_class":"LlamaTokenizer","x":1}`,
	})
	tok, err := before.Add([]AddedToken{{Content: "<new>", Special: true}, {Content: "the", Normalized: true}})
	require.NoError(t, err)
	tok, err = tok.Add([]AddedToken{{Content: "<tool>", LStrip: true}})
	require.NoError(t, err)
	assert.NotEqual(t, before.Sum(), tok.Sum())
	files, err := tok.Definition()
	require.NoError(t, err)
	assert.NotContains(t, files, "tokenizer.json")
	dir := os.Getenv("TOKENIZER_OUT")
	if dir == "" {
		dir = t.TempDir()
	}
	for name, data := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	again, err := LoadFolder(dir)
	require.NoError(t, err)
	for _, tok := range []*Tokenizer{tok, again} {
		e := tok.NewEncoder()
		ids := e.Encode(nil, "a<new>x  <tool> the<e>", true)
		assert.Equal(t, []string{"▁a", "<new>", "x", "<tool>", "▁", "the", "<e>"}, names(tok, ids))
		for name, want := range map[string]int32{"<e>": 480, "<new>": 481, "the": 482, "<tool>": 483} {
			id, ok := tok.ID(name)
			assert.True(t, ok)
			assert.Equal(t, want, id, name)
		}
		assert.Equal(t, "<e>", tok.EOSToken())
		assert.Equal(t, 484, tok.Size())
	}
	_, err = tok.JSON()
	assert.ErrorContains(t, err, "SentencePiece")
}

// TestFolderTokens compares a tokenizer.json whose folder lists more tokens, or other flags, with
// transformers (5.23).
func TestFolderTokens(t *testing.T) {
	golden, err := os.ReadFile("testdata/llama3.json")
	require.NoError(t, err)
	const text = "a <L> b <new> c [PAD]<zz><q>"
	for _, tt := range []struct {
		name  string
		files map[string]string
		size  int
		want  []string
	}{
		{
			name: "named", files: map[string]string{"tokenizer_config.json": `{"pad_token":"[PAD]","model_max_length":5}`}, size: 390,
			want: []string{"<s>", "a", "<L>", "Ġ", "b", "Ġ", "<", "n", "e", "w", ">", "Ġc", "Ġ", "[PAD]", "<", "z", "z", ">", "<", "q", ">"},
		},
		{
			name: "additional", files: map[string]string{"special_tokens_map.json": `{"eos_token":"<zz>","pad_token":"[PAD]","additional_special_tokens":["<q>"]}`}, size: 392,
			want: []string{"<s>", "a", "<L>", "Ġ", "b", "Ġ", "<", "n", "e", "w", ">", "Ġc", "Ġ", "[PAD]", "<zz>", "<q>"},
		},
		{
			name: "other flags", files: map[string]string{"tokenizer_config.json": `{"added_tokens_decoder":{"383":{"content":"<L>"},"390":{"content":"<new>","rstrip":true}}}`}, size: 390,
			want: []string{"<s>", "a", "Ġ", "<L>", "Ġ", "b", "Ġ", "<new>", "c", "Ġ", "[", "P", "A", "D", "]", "<", "z", "z", ">", "<", "q", ">"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.files["tokenizer.json"] = string(golden)
			dir := writeFolder(t, tt.files)
			tok, err := LoadFolder(dir)
			require.NoError(t, err)
			assert.Equal(t, tt.want, names(tok, tok.NewEncoder().Encode(nil, text, true)))
			assert.Equal(t, tt.size, tok.Size())
			files, err := tok.Definition()
			require.NoError(t, err)
			assert.Equal(t, string(golden), string(files["tokenizer.json"]))
			again, err := LoadFolder(dir)
			require.NoError(t, err)
			assert.Equal(t, tok.Sum(), again.Sum())
		})
	}
}
