package chattemplate

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func folder(t *testing.T, files map[string]string) *Folder {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	f, err := OpenFolder(dir)
	require.NoError(t, err)
	return f
}

func conversation(t *testing.T, messages string) *Conversation {
	t.Helper()
	v, err := Decode([]byte(messages))
	require.NoError(t, err)
	c := &Conversation{}
	for _, m := range v.(*List).Items() {
		c.Messages = append(c.Messages, m.(*Dict))
	}
	return c
}

// TestChoice checks where a template comes from, and which of several is selected.
func TestChoice(t *testing.T) {
	hi := conversation(t, `[{"role": "user", "content": "hi", "name": null}]`)
	withTools := *hi
	withTools.Tools = NewList(NewDict())
	for _, c := range []struct {
		name   string
		files  map[string]string
		choice string
		v      *Conversation
		want   string
	}{
		{"config", map[string]string{ConfigFile: `{"chat_template": "a {{ bos_token }}{{ messages[0].name is defined }}", "bos_token": {"content": "<s>"}}`}, "", hi, "a <s>False"},
		{"file first", map[string]string{ConfigFile: `{"chat_template": "a"}`, TemplateFile: "b{{ pad_token is defined }}"}, "", hi, "bFalse"},
		{"list", map[string]string{ConfigFile: `{"chat_template": [{"name": "default", "template": "d"}, {"name": "tool_use", "template": "t"}]}`}, "", hi, "d"},
		{"list with tools", map[string]string{ConfigFile: `{"chat_template": [{"name": "default", "template": "d"}, {"name": "tool_use", "template": "t"}]}`}, "", &withTools, "t"},
		{"named", map[string]string{TemplateFile: "d", "chat_templates/rag.jinja": "r"}, "rag", hi, "r"},
		{"tokens", map[string]string{TemplateFile: "{{ eos_token }}{{ image_token }}", ConfigFile: `{"extra_special_tokens": {"image_token": "<i>"}}`, "special_tokens_map.json": `{"eos_token": "</s>"}`}, "", hi, "</s><i>"},
		{"family", nil, "ChatML", hi, "<|im_start|>user\nhi<|im_end|>\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			chat, err := NewChat(folder(t, c.files), c.choice)
			require.NoError(t, err)
			made, err := chat.Render(c.v, false)
			require.NoError(t, err)
			assert.Equal(t, c.want, made.Text)
		})
	}
	path := filepath.Join(t.TempDir(), "my.jinja")
	require.NoError(t, os.WriteFile(path, []byte("mine"), 0o600))
	chat, err := NewChat(folder(t, nil), path)
	require.NoError(t, err)
	assert.Equal(t, "mine", chat.Source())
}

func TestWrongTemplates(t *testing.T) {
	for _, c := range []struct {
		files        map[string]string
		choice, want string
	}{
		{nil, "", "name one by `chat_template`: a file, or one of alpaca, chatml"},
		{nil, "chatlm", `chat template "chatlm" does not exist: it can be a file, or one of alpaca`},
		{map[string]string{ConfigFile: `{"chat_template": [{"name": "a", "template": ""}, {"name": "b", "template": ""}]}`}, "", "none is called default; name one by `chat_template`: a, b"},
		{map[string]string{TemplateFile: "a\n{% if %}"}, "", `line 2: found "%}", want a value`},
	} {
		_, err := NewChat(folder(t, c.files), c.choice)
		require.ErrorContains(t, err, c.want)
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, ConfigFile), []byte(`{"chat_template": 5}`), 0o600))
	_, err := OpenFolder(dir)
	require.ErrorContains(t, err, "neither a template nor a list")
	chat, err := NewChat(folder(t, map[string]string{TemplateFile: "x\n{{ raise_exception('no ' ~ messages[0].role) }}"}), "")
	require.NoError(t, err)
	_, err = chat.Render(conversation(t, `[{"role": "oracle"}]`), false)
	require.ErrorContains(t, err, "rejects the conversation: no oracle")
	_, err = chat.Render(&Conversation{}, false)
	require.ErrorContains(t, err, "has no messages")
}
