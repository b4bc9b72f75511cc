package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// folderFiles returns the files of a folder of tokenizer/testdata/folders.
func folderFiles(t *testing.T, name string) map[string]string {
	t.Helper()
	data, err := os.ReadFile("../../tokenizer/testdata/folders/" + name + ".json")
	require.NoError(t, err)
	var folder struct{ Files map[string]string }
	require.NoError(t, json.Unmarshal(data, &folder))
	return folder.Files
}

// TestTokenizerFiles trains on text with each kind of tokenizer, asks the adapter and merges it:
// the files of the tokenizer go along.
func TestTokenizerFiles(t *testing.T) {
	sentencePiece, err := os.ReadFile("../../tokenizer/testdata/sentencepiece/bpe_bytes.model")
	require.NoError(t, err)
	for _, tt := range []struct {
		name  string
		files map[string]string
		kept  []string
	}{
		{"sentencepiece", map[string]string{"tokenizer.model": string(sentencePiece)}, []string{"tokenizer.model"}},
		{"llama_gpt2", folderFiles(t, "llama_gpt2"), []string{"vocab.json", "merges.txt", "tokenizer_config.json"}},
		{"tekken", folderFiles(t, "tekken"), []string{"tekken.json"}},
		{"tiktoken", folderFiles(t, "tiktoken"), []string{"tokenizer.model", "tokenizer_config.json"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			model := writeModelWith(t, strings.Replace(modelConfig, `"vocab_size": 96`, `"vocab_size": 512`, 1))
			for name, text := range tt.files {
				if name != "config.json" {
					write(t, filepath.Join(model, name), text)
				}
			}
			dir := t.TempDir()
			records, out, merged := filepath.Join(dir, "texts.jsonl"), filepath.Join(dir, "out"), filepath.Join(dir, "merged")
			write(t, records, strings.Repeat(`{"text": "the cat returns"}`+"\n", 4))
			code, _, stderr := run(t, "train", "--model", model, "--dataset", records, "--output_dir", out, "--max_steps", "2", "--report_to", "none")
			require.Zero(t, code, stderr)
			code, first, stderr := run(t, "generate", "--model", model, "--adapter", out, "--prompt", "the cat", "--max_new_tokens", "4")
			require.Zero(t, code, stderr)
			code, _, stderr = run(t, "merge", "--model", model, "--adapter", out, "--output_dir", merged)
			require.Zero(t, code, stderr)
			for _, name := range tt.kept {
				assert.FileExists(t, filepath.Join(out, name))
				assert.FileExists(t, filepath.Join(merged, name))
			}
			code, second, stderr := run(t, "generate", "--model", merged, "--prompt", "the cat", "--max_new_tokens", "4")
			require.Zero(t, code, stderr)
			assert.Equal(t, first, second)
		})
	}
}

// TestTokenizerRefusals checks that a tokenizer that is not read is refused by name, with what
// to do.
func TestTokenizerRefusals(t *testing.T) {
	model := writeModel(t)
	records := filepath.Join(t.TempDir(), "texts.jsonl")
	write(t, records, `{"text": "a"}`+"\n")
	for name, tt := range map[string]struct{ text, want string }{
		"vocab.txt":       {"[PAD]\n", "WordPiece"},
		"vocab.json":      {`{"a":0}`, "copy the model's tokenizer.json into the folder"},
		"tokenizer.model": {"x", "is neither a SentencePiece model nor a file of tiktoken"},
		"x.tiktoken":      {"YQ== 0\n", "from transformers import AutoTokenizer"},
		"spiece.model":    {"x", "from transformers import AutoTokenizer"},
		"tekken.json":     {"{}", "config.pattern is missing"},
		"none":            {"", "tokenizer.json or tokenizer.model"},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.RemoveAll(filepath.Join(model, "tokenizer.json")))
			path := filepath.Join(model, name)
			write(t, path, tt.text)
			defer os.Remove(path)
			code, _, stderr := run(t, "preview", "--model", model, "--dataset", records)
			assert.Equal(t, 2, code)
			assert.Contains(t, stderr, tt.want)
			assert.Less(t, len(stderr), 360)
			t.Log(stderr)
		})
	}
}

// TestTemplateNamesTokens checks that a template has the special tokens of a SentencePiece model
// whose folder names none.
func TestTemplateNamesTokens(t *testing.T) {
	model := writeModelWith(t, strings.Replace(modelConfig, `"vocab_size": 96`, `"vocab_size": 512`, 1))
	data, err := os.ReadFile("../../tokenizer/testdata/sentencepiece/bpe_bytes.model")
	require.NoError(t, err)
	write(t, filepath.Join(model, "tokenizer.model"), string(data))
	write(t, filepath.Join(model, "chat_template.jinja"), `{{ bos_token }}{% for m in messages %}{{ m.role[0] }}{{ m.content }}{{ eos_token }}{% endfor %}`)
	records := filepath.Join(t.TempDir(), "chats.jsonl")
	write(t, records, `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "e"}]}`+"\n")
	code, stdout, stderr := run(t, "preview", "--model", model, "--dataset", records, "--json", "--limit", "1")
	require.Zero(t, code, stderr)
	var shown struct {
		IDs    []int32 `json:"input_ids"`
		Labels []int32 `json:"labels"`
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &shown))
	assert.Equal(t, int32(1), shown.IDs[0])
	assert.Equal(t, int32(2), shown.IDs[len(shown.IDs)-1])
	assert.Equal(t, int32(2), shown.Labels[len(shown.Labels)-1])
}

// TestAddsTokensToSentencePiece adds tokens to a model with a tokenizer.model and asks the
// adapter, whose folder names them.
func TestAddsTokensToSentencePiece(t *testing.T) {
	model := writeModelWith(t, strings.Replace(modelConfig, `"vocab_size": 96`, `"vocab_size": 480`, 1))
	data, err := os.ReadFile("../../tokenizer/testdata/sentencepiece/bpe_bytes.model")
	require.NoError(t, err)
	write(t, filepath.Join(model, "tokenizer.model"), string(data))
	dir := t.TempDir()
	records, out := filepath.Join(dir, "texts.jsonl"), filepath.Join(dir, "out")
	write(t, records, strings.Repeat(`{"text": "the <cat> returns"}`+"\n", 4))
	code, _, stderr := run(t, "train", "--model", model, "--dataset", records, "--output_dir", out, "--max_steps", "2", "--report_to", "none", "--add_tokens", "<cat>")
	require.Zero(t, code, stderr)
	assert.FileExists(t, filepath.Join(out, "tokenizer.model"))
	config, err := os.ReadFile(filepath.Join(out, "tokenizer_config.json"))
	require.NoError(t, err)
	assert.Contains(t, string(config), `"<cat>"`)
	code, _, stderr = run(t, "generate", "--model", model, "--adapter", out, "--prompt", "the <cat>", "--max_new_tokens", "4")
	require.Zero(t, code, stderr)
}
