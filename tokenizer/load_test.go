package tokenizer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const smallModel = `"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}`

func TestLoadErrors(t *testing.T) {
	for _, tt := range []struct{ name, json, want string }{
		{"not json", `{`, "unexpected end"},
		{"no model", `{}`, `model: type "" is not supported`},
		{"word piece", `{"model":{"type":"WordPiece"}}`, `type "WordPiece" is not supported`},
		{"empty vocab", `{"model":{"type":"BPE","vocab":{},"merges":[]}}`, "vocab is empty"},
		{"negative id", `{"model":{"type":"BPE","vocab":{"a":-1},"merges":[]}}`, `"a" has the id -1`},
		{"huge id", `{"model":{"type":"BPE","vocab":{"a":2000000000},"merges":[]}}`, "id 2000000000 is too large"},
		{"merge of an unknown token", `{"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}}`, `merges: entry 0, "a" and "b": token "b" is not in vocab`},
		{"merge to an unknown token", `{"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":[["a","b"]]}}`, `token "ab" is not in vocab`},
		{"merge of three", `{"model":{"type":"BPE","vocab":{"a":0},"merges":["a a a"]}}`, "is not two tokens"},
		{"unknown unk", `{"model":{"type":"BPE","vocab":{"a":0},"merges":[],"unk_token":"u"}}`, `unk_token "u" is not in vocab`},
		{"unigram without unk", `{"model":{"type":"Unigram","vocab":[["a",-1]]}}`, "unk_id is missing"},
		{"unigram unk", `{"model":{"type":"Unigram","vocab":[["a",-1]],"unk_id":1}}`, "unk_id 1 is not in vocab"},
		{"unigram entry", `{"model":{"type":"Unigram","vocab":[["a"]],"unk_id":0}}`, "1 parts"},
		{"added without content", `{"added_tokens":[{"id":3}],` + smallModel + `}`, "entry 0 has no content"},
		{"normalizer", `{"normalizer":{"type":"Odd"},` + smallModel + `}`, "normalizer: Odd: this type is not supported"},
		{"growth", `{"normalizer":{"type":"Sequence","normalizers":[` + strings.Repeat(`{"type":"Replace","pattern":{"String":"a"},"content":"aaaaaaaa"},`, 5) + `{"type":"NFC"}]},` + smallModel + `}`, "lengthen a text"},
		{"pattern", `{"pre_tokenizer":{"type":"Split","pattern":{"Regex":"("},"behavior":"Isolated"},` + smallModel + `}`, `pattern "("`},
		{"empty pattern", `{"pre_tokenizer":{"type":"Split","pattern":{"String":""},"behavior":"Isolated"},` + smallModel + `}`, "empty string"},
		{"behavior", `{"pre_tokenizer":{"type":"Split","pattern":{"String":"x"},"behavior":"Odd"},` + smallModel + `}`, `behavior "Odd"`},
		{"charsmap", `{"normalizer":{"type":"Precompiled","precompiled_charsmap":"/////w=="},` + smallModel + `}`, "trie's length"},
		{"template id", `{"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"s"}},{"Sequence":{"id":"A"}}],"special_tokens":{"s":{"ids":[9]}}},` + smallModel + `}`, "has the id 9"},
		{"template without text", `{"post_processor":{"type":"TemplateProcessing","single":[]},` + smallModel + `}`, "no sequence A"},
		{"two byte levels", `{"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"ByteLevel"},{"type":"ByteLevel"}]},` + smallModel + `}`, "ByteLevel occurs twice"},
		{"long metaspace", `{"pre_tokenizer":{"type":"Metaspace","replacement":"  "},` + smallModel + `}`, "is not one character"},
		{"decoder growth", `{"decoder":{"type":"Replace","pattern":{"String":"a"},"content":"` + strings.Repeat("a", 5000) + `"},` + smallModel + `}`, "lengthen a text"},
		{"decoder", `{"decoder":{"type":"Odd"},` + smallModel + `}`, "decoder: Odd"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "tokenizer.json")
			require.NoError(t, os.WriteFile(path, []byte(tt.json), 0o600))
			_, err := Load(path)
			require.ErrorContains(t, err, tt.want)
			assert.ErrorContains(t, err, path)
		})
	}
}

// TestHostilePattern checks that a catastrophically backtracking pattern ends.
func TestHostilePattern(t *testing.T) {
	match, err := regexMatcher("(?:a|a?)+$", 50*time.Millisecond)
	require.NoError(t, err)
	match(strings.Repeat("a", 60)+"b", func(lo, hi int) { t.Errorf("match from %d to %d", lo, hi) })
}

func TestFolder(t *testing.T) {
	golden, err := os.ReadFile("testdata/llama3.json")
	require.NoError(t, err)
	for _, tt := range []struct {
		name          string
		files         map[string]string
		bos, eos, pad string
		want          string // in the error
	}{
		{name: "nothing named"},
		{
			name:  "string and object",
			files: map[string]string{"tokenizer_config.json": `{"bos_token":"<s>","eos_token":{"content":"<W>"},"pad_token":null}`},
			bos:   "<s>", eos: "<W>",
		},
		{
			name:  "special_tokens_map wins",
			files: map[string]string{"tokenizer_config.json": `{"eos_token":"<W>"}`, "special_tokens_map.json": `{"eos_token":"</s>","pad_token":"<L>"}`},
			eos:   "</s>", pad: "<L>",
		},
		{
			name: "special_tokens_map is not read",
			files: map[string]string{
				"tokenizer_config.json":   `{"eos_token":"<W>","added_tokens_decoder":{}}`,
				"special_tokens_map.json": `{"eos_token":"</s>","pad_token":"<L>"}`,
			},
			eos: "<W>",
		},
		{name: "eos of config", files: map[string]string{"config.json": `{"eos_token_id":2}`}, eos: "id 2"},
		{name: "eos of generation_config", files: map[string]string{"config.json": `{"eos_token_id":1}`, "generation_config.json": `{"eos_token_id":[2,3]}`}, eos: "id 2"},
		{name: "a token of this file alone", files: map[string]string{"tokenizer_config.json": `{"eos_token":"<x>"}`}, eos: "<x>"},
		{name: "unknown id", files: map[string]string{"config.json": `{"eos_token_id":99999}`}, want: "eos_token_id 99999"},
		{name: "malformed", files: map[string]string{"tokenizer_config.json": `[`}, want: "tokenizer_config.json"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "tokenizer.json"), golden, 0o600))
			for name, content := range tt.files {
				require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
			}
			tok, err := LoadFolder(dir)
			if tt.want != "" {
				require.ErrorContains(t, err, tt.want)
				return
			}
			require.NoError(t, err)
			if tt.eos == "id 2" {
				tt.eos = tok.Token(2)
			}
			for _, c := range []struct {
				what, want string
				get        func() (int32, bool)
			}{{"bos", tt.bos, tok.BOS}, {"eos", tt.eos, tok.EOS}, {"pad", tt.pad, tok.PAD}} {
				id, ok := c.get()
				assert.Equal(t, c.want != "", ok, c.what)
				assert.Equal(t, c.want, tok.Token(id), c.what)
				if ok {
					assert.Empty(t, tok.Decode([]int32{id}, true), c.what+" is special")
				}
			}
			assert.Equal(t, tt.eos, tok.EOSToken())
			assert.Equal(t, filepath.Join(dir, "tokenizer.json"), tok.Files()[0])
		})
	}
}
