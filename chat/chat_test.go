package chat

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/tokenizer"
)

const recorded = "../demo/base"

func TestPrompt(t *testing.T) {
	tok, err := tokenizer.LoadFolder(recorded)
	require.NoError(t, err)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"chat_template.jinja":    "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}",
		"tokenizer_config.json":  `{"eos_token": "</s>"}`,
		"generation_config.json": `{"eos_token_id": [7]}`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	c, err := Open(dir, "", tok)
	require.NoError(t, err)
	ids, err := c.Prompt([]Message{{"system", "Be short."}, {"user", "Hi"}})
	require.NoError(t, err)
	assert.Equal(t, "system: Be short.</s>user: Hi</s>assistant: ", tok.Decode(ids, false))
	end := tok.NewEncoder().Encode(nil, "</s>", false)
	require.Len(t, end, 1)
	assert.Equal(t, []int32{7, end[0]}, c.Stop())
	_, err = c.Prompt(nil)
	assert.ErrorContains(t, err, "no messages")
	_, err = Open(t.TempDir(), "", tok)
	assert.ErrorContains(t, err, "chat template")
	_, err = Open(t.TempDir(), "chatml", tok)
	assert.NoError(t, err)
}

func TestFolder(t *testing.T) {
	model, adapter, bare := t.TempDir(), t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(adapter, "chat_template.jinja"), []byte("x"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(adapter, "tokenizer_config.json"), []byte(`{"eos_token": "x"}`), 0o644))
	for from, want := range map[string]string{"": model, adapter: adapter, bare: model} {
		got, err := Folder(model, from)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
}
