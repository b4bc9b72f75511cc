package dataset

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTurns compares conversations under the names of public datasets with the same ones
// as messages.
func TestTurns(t *testing.T) {
	model, tok := chatFolder(t, "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}")
	opt := DefaultOptions()
	opt.ModelFolder = model
	const two = `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}]}`
	const one = `{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}`
	for _, c := range []struct{ name, text, want, line string }{
		{"lmsys", `{"model": "m", "conversation": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}]}`, two, "sharegpt (conversation)"},
		{"ShareGPT's keys", `{"dialogue": [{"from": "system", "value": "s"}, {"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}`, one, "sharegpt (dialogue)"},
		{"a system text beside", `{"system": "s", "chat": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}`, one, "sharegpt (chat)"},
		{"Capybara", `{"source": "x", "conversation": [{"input": "a", "output": "b"}, {"input": "c", "output": "d"}]}`, two, "sharegpt (conversation)"},
		{"with a system text", `{"conversation": [{"system": "s", "input": "a", "output": "b"}]}`, one, "sharegpt (conversation)"},
		{"with more keys", `{"conversation": [{"input": "a", "output": "b", "mood": "x"}, {"input": "c", "output": "d"}]}`, two, "mood"},
		{"UltraChat", `{"id": "0", "data": ["a", "b", "c", "d"]}` + "\n", two, "sharegpt (data)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Load([]string{write(t, "a.jsonl", c.text)}, tok, opt, nil)
			require.NoError(t, err)
			want, err := Load([]string{write(t, "b.jsonl", c.want)}, tok, opt, nil)
			require.NoError(t, err)
			assert.Equal(t, want.Examples, got.Examples)
			assert.Contains(t, strings.Join(got.Report.Lines(), "\n"), c.line)
			assert.True(t, got.Report.Chats())
		})
	}
	for _, c := range []struct{ text, want string }{
		{`{"conversation": "USER: a"}`, "the record has the field"},
		{`{"dialog": ["a", "b"]}`, "the record has the field"},
		{`{"chat": [{"a": 1}]}`, "the record has the field"},
		{`{"data": ["a", 5]}`, `"data" is not a list of texts`},
		{`{"turns": [{"input": "a", "output": 5}]}`, `"turns" is not a list of objects of texts`},
	} {
		_, err := Load([]string{write(t, "a.jsonl", c.text)}, tok, opt, nil)
		require.ErrorContains(t, err, c.want)
		require.ErrorContains(t, err, "a.jsonl:1: ")
	}
}
