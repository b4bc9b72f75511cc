package dataset

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/internal/chattemplate"
)

// TestReasoning checks what is trained on of records with reasoning, and that a template
// that leaves it out is named.
func TestReasoning(t *testing.T) {
	chatml, _ := chattemplate.Family("chatml")
	chatml = marks.ReplaceAllString(chatml, "")
	qwen3, _ := chattemplate.Family("qwen-3")
	strips := chatHead + "{{ m.content.split('</think>')[-1] }}" + chatTail
	const one = `{"messages": [{"role": "user", "content": "2+2?"}, {"role": "assistant", "reasoning_content": "hmm", "content": "4"}]}`
	two := strings.Replace(one, "]}", `, {"role": "user", "content": "and 3?"}, {"role": "assistant", "thinking": "oh\n", "content": "7"}]}`, 1)
	const out = "warning: a.jsonl: the chat template leaves out the reasoning_content of 1 of 1 message; "
	for _, c := range []struct{ name, template, record, how, want, line string }{
		{"left out", chatml, one, "", "…4<|im_end|>…", out},
		{"left out under another key", chatml, strings.Replace(one, "reasoning_content", "thinking", 1), "template", "…4<|im_end|>…", "leaves out the thinking of 1 of 1 message"},
		{"kept", chatml, one, "keep", "…<think>\nhmm\n</think>\n\n4<|im_end|>…", ""},
		{"kept in parts", chatml, strings.Replace(one, `"4"`, `[{"type": "text", "text": "4"}]`, 1), "keep", "…<think>\nhmm\n</think>\n\n4<|im_end|>…", ""},
		{"kept in two turns", chatml, two, "keep", "…<think>\nhmm\n</think>\n\n4<|im_end|>…<think>\noh\n</think>\n\n7<|im_end|>…", ""},
		{"dropped", chatml, one, "drop", "…4<|im_end|>…", ""},
		{"cannot be kept", strips, one, "keep", "…4<|im_end|>…", out + "it drops <think>…</think> before an answer too: end a record with each such answer"},
		{"shown", qwen3, one, "", "…<think>\nhmm\n</think>\n\n4<|im_end|>…", ""},
		{"dropped though shown", qwen3, one, "drop", "…<think>\n\n</think>\n\n4<|im_end|>…", ""},
		{"shown in the last turn alone", qwen3, two, "", "…4<|im_end|>…<think>\noh\n</think>\n\n7<|im_end|>…", "leaves out the reasoning_content of 1 of 2 messages"},
		{"in parts", chatml, `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": [{"type": "thinking", "thinking": "hmm"}, {"type": "text", "text": "4"}]}]}`, "keep", "…<think>\nhmm\n</think>\n\n4<|im_end|>…", ""},
		{"empty", chatml, strings.Replace(one, "hmm", " ", 1), "", "…4<|im_end|>…", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, tok := chatFolder(t, c.template)
			path := write(t, "a.jsonl", c.record)
			set, err := Load([]string{path}, tok, Options{Format: Auto, ModelFolder: dir, Reasoning: c.how}, nil)
			require.NoError(t, err)
			assert.Equal(t, c.want, trainedText(tok, set.Examples[0].Labels), tok.Decode(set.Examples[0].IDs, false))
			lines := strings.ReplaceAll(strings.Join(set.Report.Lines()[1:], "\n"), path, "a.jsonl")
			assert.Contains(t, lines, c.line)
			assert.Equal(t, c.line == "", lines == "", lines)
		})
	}
	dir, tok := chatFolder(t, chatml)
	detailed := strings.Replace(one, `"content": "4"`, `"content": "4", "train_detail": [{"begin_offset": 0, "end_offset": 0, "train": true}]`, 1)
	_, err := Load([]string{write(t, "a.jsonl", detailed)}, tok, Options{Format: Auto, ModelFolder: dir, Reasoning: ReasoningKeep}, nil)
	require.ErrorContains(t, err, "message 2 has both train_detail and reasoning_content")
	require.ErrorContains(t, Options{Reasoning: "on"}.Validate(), "it must be template, keep or drop")
}
