package chattemplate

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestArgumentForm checks in which form templates read the arguments of calls.
func TestArgumentForm(t *testing.T) {
	const head, tail = "{% for m in messages %}{{ m.content }}{% for c in m.tool_calls or [] %}{% set f = c.function %}", "{% endfor %}{% endfor %}"
	for _, c := range []struct {
		name, template string
		want           ArgumentForm
	}{
		{"as JSON", head + "{{ f.arguments | tojson }}" + tail, ArgumentForm{Objects: true}},
		{"the whole function", head + "{{ f | tojson }}" + tail, ArgumentForm{Objects: true}},
		{"pairs", head + "{% for k, v in f.arguments | items %}{{ k }}: {{ v }}{% endfor %}" + tail, ArgumentForm{Objects: true}},
		{"pairs of a method", head + "{% for k, v in f.arguments.items() %}{{ k }}: {{ v }}{% endfor %}" + tail, ArgumentForm{Objects: true}},
		{"checked", head + "{% if f.arguments is not mapping %}{{ raise_exception('no') }}{% endif %}{{ f.arguments | tojson }}" + tail, ArgumentForm{Objects: true}},
		{"a text", head + "{{ '```' + f.arguments + '```' }}" + tail, ArgumentForm{Texts: true}},
		{"either", head + "{{ f.arguments if f.arguments is string else f.arguments | tojson }}" + tail, ArgumentForm{Objects: true, Texts: true}},
		{"with tools alone", "{% if tools %}" + head + "{{ f.arguments | tojson }}" + tail + "{% endif %}", ArgumentForm{Objects: true}},
		{"without tools alone", "{% if not tools %}" + head + "{{ f.arguments | tojson }}" + tail + "{% endif %}", ArgumentForm{Objects: true}},
		{"names alone", head + "{{ f.name }}" + tail, ArgumentForm{}},
		{"no calls", "{% for m in messages %}{{ m.content }}{% endfor %}", ArgumentForm{}},
	} {
		chat, err := NewChat(folder(t, map[string]string{TemplateFile: c.template}), "")
		require.NoError(t, err)
		assert.Equal(t, c.want, chat.ArgumentForm(&Conversation{}), c.name)
	}
}

// TestShown checks which reasoning a template renders.
func TestShown(t *testing.T) {
	v := conversation(t, `[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "thinking": "x"}, {"role": "user", "content": "c"}, {"role": "assistant", "content": "d", "reasoning": "y"}]`)
	for template, want := range map[string][]bool{
		"{% for m in messages %}{{ m.content }}{% endfor %}":                                               {false, false},
		"{% for m in messages %}{{ m.thinking }}{{ m.content }}{% endfor %}":                               {true, true},
		"{% for m in messages %}{{ m.reasoning_content if loop.last else '' }}{{ m.content }}{% endfor %}": {false, true},
		"{{ raise_exception('no') }}":                                                                      {true, true},
	} {
		chat, err := NewChat(folder(t, map[string]string{TemplateFile: template}), "")
		require.NoError(t, err)
		assert.Equal(t, want, chat.Shown(v, []int{1, 3}, WithReasoning), template)
	}
	key, text := Reasoning(v.Messages[3])
	assert.Equal(t, []string{"reasoning", "y"}, []string{key, text})
	key, _ = Reasoning(WithReasoning(v.Messages[3], ""))
	assert.Empty(t, key)
}

// TestClosing checks the text that ends the last turn.
func TestClosing(t *testing.T) {
	for template, want := range map[string]string{
		"{% for m in messages %}<{{ m.role }}>{{ m.content }}</>\n{% endfor %}":                                                     "</>\n",
		"{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ '<last>' if loop.last else '<next>' }}{% endfor %}":                 "<last>",
		"{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{{ '<assistant>' if add_generation_prompt else '<end>' }}": "<end>",
	} {
		chat, err := NewChat(folder(t, map[string]string{TemplateFile: template}), "")
		require.NoError(t, err)
		assert.Equal(t, want, chat.Closing(), strings.TrimSpace(template))
	}
}
