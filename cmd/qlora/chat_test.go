package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A tokenizer of five letters and an end-of-turn token, and a template for it.
const (
	chatTokenizer = `{"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "d": 2, "u": 3, "c": 4}, "merges": []}, "decoder": {"type": "Fuse"},
 "added_tokens": [{"id": 5, "content": "<e>", "special": true}]}`
	chatTemplate = `{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system here') }}{% endif %}` +
		`{{ 'u' if m.role == 'user' else 'b' }}{{ m.content }}<e>{% endfor %}{{ 'b' if add_generation_prompt else '' }}`
)

// TestChat trains on chats, from the file to the ids and labels, and asks the adapter
// with the template that it was trained with.
func TestChat(t *testing.T) {
	model := writeModel(t)
	write(t, filepath.Join(model, "tokenizer.json"), chatTokenizer)
	dir := t.TempDir()
	records, template, out := filepath.Join(dir, "chats.jsonl"), filepath.Join(dir, "my.jinja"), filepath.Join(dir, "out")
	write(t, records, strings.Repeat(`{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "ca"}]}`+"\n", 4))
	write(t, template, chatTemplate)

	code, _, stderr := run(t, "preview", "--model", model, "--dataset", records)
	assert.Equal(t, 2, code)
	assert.Contains(t, stderr, "name one by --chat_template: a file, or one of alpaca, chatml")

	code, stdout, stderr := run(t, "preview", "--model", model, "--dataset", records, "--chat_template", template, "--json", "--limit", "1")
	require.Zero(t, code, stderr)
	assert.JSONEq(t, `{"input_ids": [3, 0, 5, 1, 4, 0, 5], "labels": [-100, -100, -100, -100, 4, 0, 5]}`, stdout)

	code, _, stderr = run(t, "train", "--model", model, "--dataset", records, "--chat_template", template, "--output_dir", out,
		"--max_steps", "60", "--per_device_train_batch_size", "4", "--learning_rate", "0.01", "--lora_dropout", "0", "--report_to", "none")
	require.Zero(t, code, stderr)
	kept, err := os.ReadFile(filepath.Join(out, "chat_template.jinja"))
	require.NoError(t, err)
	assert.Equal(t, chatTemplate, string(kept))
	ends, err := os.ReadFile(filepath.Join(out, "generation_config.json"))
	require.NoError(t, err)
	assert.JSONEq(t, `{"bos_token_id": 1, "eos_token_id": [2, 5]}`, string(ends), "what was learnt to end a turn")

	ask := []string{"generate", "--model", model, "--adapter", out, "--chat", "--chat_template", template, "--max_new_tokens", "8"}
	code, stdout, stderr = run(t, append(ask, "--prompt", "a")...)
	require.Zero(t, code, stderr)
	assert.Equal(t, "ca\n", stdout, "the answer that was trained on, up to the token that ends a turn")

	code, stdout, stderr = run(t, "generate", "--model", model, "--adapter", out, "--prompt", "ua<e>b", "--max_new_tokens", "8")
	require.Zero(t, code, stderr)
	assert.Equal(t, "ca\n", stdout, "without --chat it ends at the same token")

	piped := program(ask...)
	piped.Stdin = strings.NewReader("a\n")
	answer, err := piped.Output()
	require.NoError(t, err)
	assert.Equal(t, "ca\n", string(answer), "the prompt comes from standard input")

	for _, c := range []struct {
		args []string
		want string
	}{
		{append(ask, "--prompt", "a", "--system", "b"), "rejects the conversation: no system here"},
		{ask, "standard input is empty"},
		{[]string{"generate", "--model", model, "--prompt", "a", "--system", "b"}, "--system and --chat_template are for chats: add --chat"},
		{[]string{"generate", "--model", model, "--prompt", "a", "--chat"}, "name one by --chat_template"},
	} {
		code, stdout, stderr := run(t, c.args...)
		assert.Equal(t, 2, code, stderr)
		assert.Empty(t, stdout)
		assert.Contains(t, stderr, c.want)
	}
}

// TestEnding checks that a merge and full fine-tuning keep what is learnt to end a turn in
// generation_config.json, with the base's other keys, and that a template without a token
// at the end of a turn is met with one warning.
func TestEnding(t *testing.T) {
	model := writeModel(t)
	write(t, filepath.Join(model, "tokenizer.json"), chatTokenizer)
	write(t, filepath.Join(model, "chat_template.jinja"), chatTemplate)
	write(t, filepath.Join(model, "generation_config.json"), `{"temperature": 0.60, "eos_token_id": 2, "_from_model_config": true}`)
	dir := t.TempDir()
	records, bare := filepath.Join(dir, "chats.jsonl"), filepath.Join(dir, "bare.jinja")
	write(t, records, strings.Repeat(`{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "ca"}]}`+"\n", 4))
	write(t, bare, strings.ReplaceAll(chatTemplate, "<e>", "cc"))
	const learnt = `{"temperature": 0.60, "eos_token_id": [2, 5]}`
	ends := func(out string) string {
		text, err := os.ReadFile(filepath.Join(out, "generation_config.json"))
		require.NoError(t, err)
		return string(text)
	}
	train := func(out string, more ...string) string {
		code, _, stderr := run(t, append([]string{"train", "--model", model, "--dataset", records, "--output_dir", out, "--max_steps", "1", "--report_to", "none"}, more...)...)
		require.Zero(t, code, stderr)
		return stderr
	}
	adapter, full, merged := filepath.Join(dir, "adapter"), filepath.Join(dir, "full"), filepath.Join(dir, "merged")
	assert.NotContains(t, train(adapter), "warning")
	assert.JSONEq(t, learnt, ends(adapter))
	train(full, "--method", "full")
	assert.JSONEq(t, learnt, ends(full))
	code, _, stderr := run(t, "merge", "--model", model, "--adapter", adapter, "--output_dir", merged)
	require.Zero(t, code, stderr)
	assert.JSONEq(t, learnt, ends(merged))

	unended := filepath.Join(dir, "unended")
	stderr = train(unended, "--chat_template", bare)
	assert.Equal(t, 1, strings.Count(stderr, `ends a turn with "cc", which is not a token of the tokenizer: generation stops only at d and at the maximum length`), stderr)
	assert.NotContains(t, stderr, "no record trains")
	write(t, bare, strings.ReplaceAll(chatTemplate, "<e>", ""))
	stderr = train(filepath.Join(dir, "open"), "--chat_template", bare)
	assert.Equal(t, 1, strings.Count(stderr, "no record trains on a token that ends generation (d): the tuned model will not stop by itself"), stderr)
}
