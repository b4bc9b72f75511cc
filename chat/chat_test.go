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
		"chat_template.jinja":   "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}",
		"tokenizer_config.json": `{"eos_token": "</s>"}`,
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
	id, ok := c.End()
	assert.True(t, ok)
	assert.Equal(t, end[0], id)
	_, err = c.Prompt(nil)
	assert.ErrorContains(t, err, "no messages")
	_, err = Open(t.TempDir(), "", tok)
	assert.ErrorContains(t, err, "chat template")
	_, err = Open(t.TempDir(), "chatml", tok)
	assert.NoError(t, err)
}

// TestPromptInParts checks that a template that reads nothing but lists of parts gets them.
func TestPromptInParts(t *testing.T) {
	tok, err := tokenizer.LoadFolder(recorded)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "my.jinja")
	require.NoError(t, os.WriteFile(file, []byte("{% for m in messages %}{{ m.role }}:{% for p in m.content %}{{ p.text }}{% endfor %}{{ eos_token }}{% endfor %}"), 0o600))
	c, err := Open(recorded, file, tok)
	require.NoError(t, err)
	ids, err := c.Prompt([]Message{{"user", "Hi"}})
	require.NoError(t, err)
	assert.Equal(t, "user:Hi</s>", tok.Decode(ids, false))
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

// TestEnd checks the token that ends a turn, and the warning if there is none.
func TestEnd(t *testing.T) {
	tok, err := tokenizer.LoadFolder(recorded)
	require.NoError(t, err)
	eos, _ := tok.EOS()
	for _, c := range []struct {
		name, closing string
		end           int32 // -1: none
		stop          []string
		want          string
	}{
		{"special", "</s>", eos, nil, ""},
		{"special with a line break", "</s>\\n", eos, nil, ""},
		{"special after a line break", "\\n</s>", eos, nil, ""},
		{"unknown", "<|im_end|>\\n", -1, []string{"</s>"}, `ends a turn with "<|im_end|>", which is not a token of the tokenizer: generation stops only at </s> and at the maximum length`},
		{"unknown, no other", "<|im_end|>", -1, nil, "generation stops only at the maximum length"},
		{"nothing", "", -1, nil, "ends a turn without a token: generation stops only at the maximum length"},
		{"nothing, but others", "", -1, []string{"</s>"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "my.jinja")
			source := "{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ '" + c.closing + "' }}{% endfor %}"
			require.NoError(t, os.WriteFile(file, []byte(source), 0o600))
			template, err := Open(recorded, file, tok)
			require.NoError(t, err)
			id, ok := template.End()
			assert.Equal(t, c.end >= 0, ok)
			assert.Equal(t, c.end, id)
			if c.want == "" {
				assert.Empty(t, template.Warning(c.stop))
			}
			assert.Contains(t, template.Warning(c.stop), c.want)
		})
	}
}
