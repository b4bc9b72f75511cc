package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/chat"
)

// channels is a template of gpt-oss' kind: the last turn ends with another token than
// those before it, a call with a third, and a first message is there always. The tokens
// are those of the test's tokenizer.
const channels = `<|im_start|>system<|im_sep|>You are a model.<|end|>
{%- for m in messages %}
    {%- if m.role == 'assistant' and m.tool_calls %}
        {{- '<|im_start|>assistant to=' + m.tool_calls[0].function.name + '<|im_sep|>' + m.tool_calls[0].function.arguments | tojson + '<|eot_id|>' }}
    {%- elif m.role == 'assistant' and loop.last and not add_generation_prompt %}
        {%- if m.thinking %}{{ '<|im_start|>assistant<|user|>analysis<|im_sep|>' + m.thinking + '<|end|>' }}{% endif %}
        {{- '<|im_start|>assistant<|user|>final<|im_sep|>' + m.content + '</s>' }}
    {%- elif m.role == 'assistant' %}
        {{- '<|im_start|>assistant<|user|>final<|im_sep|>' + m.content + '<|end|>' }}
    {%- elif m.role == 'tool' %}
        {%- if not messages | selectattr('tool_calls', 'defined') | list %}{{ raise_exception('a result without a call') }}{% endif %}
        {{- '<|im_start|>tool<|im_sep|>' + m.content + '<|end|>' }}
    {%- else %}
        {{- '<|im_start|>' + m.role + '<|im_sep|>' + m.content + '<|end|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant{% endif %}`

// TestEndsOfMiddleTurns checks that each turn of the assistant is trained on with the
// token that ends it, where templates end the last turn in another way.
func TestEndsOfMiddleTurns(t *testing.T) {
	const two = `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}]}`
	const calls = `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}, {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1}}}]}, {"role": "tool", "content": "7"}, {"role": "assistant", "content": "d"}]}`
	const thinks = `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}, {"role": "assistant", "thinking": "hm", "content": "d"}]}`
	const open = "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content }}{% endfor %}{{ '<|assistant|>' if add_generation_prompt else '</s>' }}"
	for _, c := range []struct{ name, template, record, want string }{
		{"two turns", channels, two, "…<|user|>final<|im_sep|>b<|end|>…<|user|>final<|im_sep|>d</s>"},
		{"a call", channels, calls, "…<|user|>final<|im_sep|>b<|end|>… to=f<|im_sep|>{\"x\": 1}<|eot_id|>…<|user|>final<|im_sep|>d</s>"},
		{"thoughts", channels, thinks, "…<|user|>final<|im_sep|>b<|end|>…<|user|>analysis<|im_sep|>hm<|end|><|im_start|>assistant<|user|>final<|im_sep|>d</s>"},
		{"no end but the last", open, two, "…b…d</s>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, tok := chatFolder(t, c.template)
			set, err := Load([]string{write(t, "a.jsonl", c.record)}, tok, Options{Format: Auto, ModelFolder: dir}, nil)
			require.NoError(t, err)
			assert.Equal(t, c.want, trainedText(tok, set.Examples[0].Labels), tok.Decode(set.Examples[0].IDs, false))
			template, err := chat.Open(dir, "", tok)
			require.NoError(t, err)
			end, ok := template.End()
			require.True(t, ok, "generation stops at the end of the last turn")
			assert.Equal(t, "</s>", tok.Token(end))
		})
	}
}

// TestEndsOfConfig checks that config.json's tokens end a turn as generation_config.json's
// do: the ending goes on to the first of them.
func TestEndsOfConfig(t *testing.T) {
	template := "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content + '<|end|><|eot_id|>' }}{% endfor %}{{ '<|assistant|>' if add_generation_prompt else '' }}"
	const record = `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}`
	for _, c := range []struct{ name, file, want string }{
		{"neither", "", "…b<|end|><|eot_id|>"},
		{"config.json", "config.json", "…b<|end|>…"},
		{"generation_config.json", "generation_config.json", "…b<|end|>…"},
	} {
		dir, tok := chatFolder(t, template)
		id, ok := tok.ID("<|end|>")
		require.True(t, ok)
		if c.file != "" {
			require.NoError(t, os.WriteFile(filepath.Join(dir, c.file), fmt.Appendf(nil, `{"eos_token_id": %d}`, id), 0o600))
		}
		set, err := Load([]string{write(t, "a.jsonl", record)}, tok, Options{Format: Auto, ModelFolder: dir}, nil)
		require.NoError(t, err)
		assert.Equal(t, c.want, trainedText(tok, set.Examples[0].Labels), c.name)
	}
}

// TestReportOfChats checks that a report says whether the template was used.
func TestReportOfChats(t *testing.T) {
	for _, c := range []struct {
		name, record string
		apply, want  bool
	}{
		{"messages", `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}`, false, true},
		{"sharegpt", `{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}`, false, true},
		{"lists of messages", `{"prompt": [{"role": "user", "content": "a"}], "completion": [{"role": "assistant", "content": "b"}]}`, false, true},
		{"a pair as a chat", `{"prompt": "a", "completion": "b"}`, true, true},
		{"a pair", `{"prompt": "a", "completion": "b"}`, false, false},
		{"text", `{"text": "a b"}`, false, false},
	} {
		dir, tok := chatFolder(t, withoutCall)
		set, err := Load([]string{write(t, "a.jsonl", c.record)}, tok, Options{Format: Auto, ModelFolder: dir, ApplyChat: c.apply}, nil)
		require.NoError(t, err)
		assert.Equal(t, c.want, set.Report.Chats(), c.name)
	}
}
