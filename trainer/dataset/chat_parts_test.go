package dataset

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Templates that read contents in different forms.
const (
	readsText  = chatHead + "{{ '' + m.content }}" + chatTail
	readsLists = chatHead + "{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endif %}" + chatTail
	readsOnly  = chatHead + "{% for p in m.content %}[{{ p.text }}]{% endfor %}" + chatTail
)

// TestParts checks contents that are lists of parts.
func TestParts(t *testing.T) {
	const two = `[{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]`
	for _, c := range []struct{ name, template, content, want, line string }{
		{"joined", readsText, two, "user\nbc<|im_end|>", "the chat template reads no lists of parts: the texts of 1 content are joined"},
		{"one part", readsText, `[{"type": "text", "text": "b"}]`, "user\nb<|im_end|>", ""},
		{"lists", readsLists, two, "user\nbc<|im_end|>", ""},
		{"lists alone", readsOnly, two, "user\n[b][c]<|im_end|>", ""},
		{"a text for lists alone", readsOnly, `"b"`, "user\n[b]<|im_end|>", ""},
		{"the Responses API", readsText, `[{"type": "input_text", "text": "b"}, {"type": "output_text", "text": "c"}]`, "user\nbc<|im_end|>", "joined"},
		{"texts, and without a type", readsText, `["b", {"text": "c"}]`, "user\nbc<|im_end|>", "joined"},
		{"the Assistants API", readsText, `[{"type": "text", "text": {"value": "b", "annotations": []}}]`, "user\nb<|im_end|>", ""},
		{"image", readsText, `[{"type": "text", "text": "b"}, {"type": "image_url", "image_url": {"url": "x"}}]`, `error message 1 of "messages" has a part of type image_url; only text is supported`, ""},
		{"file", readsLists, `[{"type": "input_file", "file_id": "x"}]`, "error a part of type input_file; only text", ""},
		{"a strange type", readsText, `[{"type": {"a": 1}, "text": "b"}]`, "error a part of its content whose type is not a text", ""},
		{"no text", readsText, `[{"type": "text", "text": null}]`, `error a part of its content that is not {"type": "text", "text": …}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			text, set, err := rendered(t, c.template, "a.jsonl", `{"messages": [{"role": "user", "content": `+c.content+`}, {"role": "assistant", "content": "d"}]}`, Options{})
			if want, refused := strings.CutPrefix(c.want, "error "); refused {
				require.ErrorContains(t, err, want)
				return
			}
			require.NoError(t, err)
			assert.Contains(t, text, c.want)
			lines := strings.Join(set.Report.Lines()[1:], "\n")
			assert.Contains(t, lines, c.line)
			assert.Equal(t, c.line == "", lines == "", lines)
		})
	}
}

// TestToolContents checks that a tool's content may be any value.
func TestToolContents(t *testing.T) {
	show := chatHead + "{{ m.content if m.content is string else m.content | tojson }}" + chatTail
	for content, want := range map[string]string{
		`[{"type": "text", "text": "b"}]`:   "tool\nb<|im_end|>",
		`[{"city": "Oslo"}, {"n": [1, 2]}]`: `tool` + "\n" + `[{"city": "Oslo"}, {"n": [1, 2]}]`,
		`[1, 2]`:                            "tool\n[1, 2]",
		`{"x": 1}`:                          "tool\n" + `{"x": 1}`,
	} {
		text, _, err := rendered(t, show, "a.jsonl", `{"messages": [{"role": "tool", "content": `+content+`}, {"role": "assistant", "content": "d"}]}`, Options{})
		require.NoError(t, err)
		assert.Contains(t, text, want)
	}
}

// TestDeveloper checks that a template without the role gets the message as system.
func TestDeveloper(t *testing.T) {
	const record = `{"messages": [{"role": "developer", "content": "a"}, {"role": "user", "content": "b"}, {"role": "assistant", "content": "c"}]}`
	knows := "{% for m in messages %}<|im_start|>{{ 'instructions' if m.role == 'developer' else m.role }}\n{{ m.content }}" + chatTail
	strict := "{% for m in messages %}{% if m.role not in ['system', 'user', 'assistant'] %}{{ raise_exception('no ' + m.role) }}{% endif %}<|im_start|>{{ m.role }}\n{{ m.content }}" + chatTail
	for name, c := range map[string]struct{ template, want, line string }{
		"printed as any role": {readsText, "system\na<|im_end|>", "the chat template has no role developer: 1 message is given as system"},
		"refused":             {strict, "system\na<|im_end|>", "as system"},
		"known":               {knows, "instructions\na<|im_end|>", ""},
	} {
		t.Run(name, func(t *testing.T) {
			text, set, err := rendered(t, c.template, "a.jsonl", record, Options{})
			require.NoError(t, err)
			assert.Contains(t, text, c.want)
			lines := strings.Join(set.Report.Lines()[1:], "\n")
			assert.Contains(t, lines, c.line)
			assert.Equal(t, c.line == "", lines == "", lines)
		})
	}
}
