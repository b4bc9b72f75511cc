package ollama

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/internal/chattemplate"
)

// renderOf returns the Render of a chat template: one of chattemplate's families or a file.
func renderOf(t *testing.T, name string, tokens map[string]string) Render {
	t.Helper()
	c, err := chattemplate.NewChat(&chattemplate.Folder{Tokens: tokens}, name)
	require.NoError(t, err)
	return func(chat []Message, prompt bool) (string, error) {
		var v chattemplate.Conversation
		for _, m := range chat {
			d := chattemplate.NewDict()
			d.Set("role", m.Role)
			d.Set("content", m.Content)
			v.Messages = append(v.Messages, d)
		}
		made, err := c.Render(&v, prompt)
		return made.Text, err
	}
}

func TestFamilies(t *testing.T) {
	for _, name := range chattemplate.Families() {
		t.Run(name, func(t *testing.T) {
			render := renderOf(t, name, map[string]string{"bos_token": "<s>", "eos_token": "</s>"})
			made, err := Translate(render, "<s>")
			require.NoError(t, err)
			t.Log("\n" + made.Text)
			t.Log(made.Stop, made.NoSystem)
			assert.False(t, strings.HasPrefix(made.Text, "<s>"))
		})
	}
}

// FuzzText writes literal text into a template, between actions, and renders it.
func FuzzText(f *testing.F) {
	for _, s := range []string{"<|im_start|>user\n", "{{ x }}{", "\"\"\"\"", "\u00a0\x00{", "{{{{-", "-}}", "{"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			t.Skip()
		}
		var w writer
		w.text(s)
		w.action(".System")
		w.text(s)
		w.action("if .System")
		w.action("end")
		got, err := Execute(w.String(), []Message{{system, "…"}})
		require.NoError(t, err, w.String())
		require.Equal(t, s+"…"+s, got)
		require.NotContains(t, w.String(), `"""`)
	})
}
