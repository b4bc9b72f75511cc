package dataset

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/internal/chattemplate"
)

// TestBeforeThePrompt checks what a record's system text, earlier turns and context
// become, with and without a chat template, and that they are not trained on.
func TestBeforeThePrompt(t *testing.T) {
	chatml, _ := chattemplate.Family("chatml")
	model, tok := chatFolder(t, chatml)
	say := func(role, text string) string { return "<|im_start|>" + role + "\n" + text + "<|im_end|>\n" }
	eos := newVocabulary(tok).eosText
	require.NotEmpty(t, eos)
	for _, c := range []struct{ name, text, plain, chat string }{
		{
			"alpaca", `{"instruction": "now", "input": "this", "output": "bye", "system": "be", "history": [["hi", "hello"], ["so", "yes"]]}`,
			"be\n\n### Instruction:\nhi\n\n### Response:hello" + eos + "\n\n### Instruction:\nso\n\n### Response:yes" + eos + "\n\n### Instruction:\nnow\n\n### Input:\nthis\n\n### Response:",
			say("system", "be") + say("user", "hi") + say("assistant", "hello") + say("user", "so") + say("assistant", "yes") + say("user", "now\nthis"),
		},
		{
			"alpaca's history alone", `{"instruction": "now", "input": "", "output": "bye", "system": "", "history": [["hi", "hello"]]}`,
			"Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\nhi\n\n### Response:hello" + eos + "\n\n### Instruction:\nnow\n\n### Response:",
			say("user", "hi") + say("assistant", "hello") + say("user", "now"),
		},
		{"alpaca without any", `{"instruction": "now", "output": "bye", "system": null, "history": []}`, alpacaPrompt("now", ""), say("user", "now")},
		{"dolly", `{"instruction": "now", "context": "this", "response": "bye", "system": "be"}`, "be\n\n### Instruction:\nnow\n\n### Input:\nthis\n\n### Response:", say("system", "be") + say("user", "now\nthis")},
		{"prompt and completion", `{"prompt": "now", "completion": "bye", "system": "be"}`, "be\nnow", say("system", "be") + say("user", "now")},
		{"openorca", `{"system_prompt": "be", "question": "now", "response": "bye"}`, "be\nnow\n", say("system", "be") + say("user", "now")},
		{"a context", `{"context": "this", "question": "now", "answer": "bye"}`, "this\nnow\n", say("user", "this\nnow")},
		{"a context and a response", `{"context": "this", "question": "now", "response": "bye"}`, "this\nnow\n", say("user", "this\nnow")},
		{"both", `{"system": "be", "context": "this", "question": "now", "answer": "bye"}`, "be\nthis\nnow\n", say("system", "be") + say("user", "this\nnow")},
	} {
		t.Run(c.name, func(t *testing.T) {
			opt := DefaultOptions()
			opt.ModelFolder = model
			path := write(t, "a.jsonl", c.text)
			set, err := Load([]string{path}, tok, opt, nil)
			require.NoError(t, err)
			assert.Equal(t, c.plain+"bye"+eos, tok.Decode(set.Examples[0].IDs, false))
			assert.Equal(t, []string{"bye" + eos}, runs(tok, set.Examples[0]))
			assert.NotContains(t, set.Report.Files[0].String(), "not used")
			opt.ApplyChat = true
			set, err = Load([]string{path}, tok, opt, nil)
			require.NoError(t, err)
			assert.Equal(t, c.chat+say("assistant", "bye"), tok.Decode(set.Examples[0].IDs, false))
			assert.Equal(t, []string{"bye<|im_end|>"}, runs(tok, set.Examples[0]))
			assert.NotContains(t, set.Report.Files[0].String(), "not used")
		})
	}
	_, err := Load([]string{write(t, "a.jsonl", `{"instruction": "a", "output": "b", "history": [["c"]]}`)}, tok, DefaultOptions(), nil)
	require.ErrorContains(t, err, `a.jsonl:1: turn 1 of "history" is not a pair of texts, [user, assistant]`)
}

// TestOldCalls checks OpenAI's function_call, functions and role function: they are tool
// calls, tools and the role tool.
func TestOldCalls(t *testing.T) {
	qwen, _ := chattemplate.Family("qwen-2.5")
	model, tok := chatFolder(t, qwen)
	opt := DefaultOptions()
	opt.ModelFolder = model
	load := func(text string) (*Set, error) { return Load([]string{write(t, "a.jsonl", text)}, tok, opt, nil) }
	old, err := load(`{"functions": [{"name": "f", "parameters": {}}], "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{\"x\": 1}"}}, {"role": "function", "name": "f", "content": "2"}, {"role": "assistant", "content": "b", "function_call": null}]}`)
	require.NoError(t, err)
	now, err := load(`{"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}], "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": null, "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}]}, {"role": "tool", "content": "2"}, {"role": "assistant", "content": "b"}]}`)
	require.NoError(t, err)
	assert.Equal(t, now.Examples, old.Examples)
	assert.Contains(t, tok.Decode(old.Examples[0].IDs, false), `{"name": "f", "arguments": {"x": 1}}`)
	assert.Equal(t, []string{"name"}, old.Report.Files[0].UnusedKeys)
	assert.Empty(t, old.Report.Files[0].Unused)
	for text, want := range map[string]string{
		`{"messages": [{"role": "assistant", "content": "b", "function_call": "auto"}]}`:                                              `has a function_call that is not {"name": …, "arguments": …}`,
		`{"messages": [{"role": "assistant", "function_call": {"name": "f"}, "tool_calls": [{"type": "function", "function": {}}]}]}`: "has both function_call and tool_calls; remove one of them",
	} {
		_, err := load(text)
		require.ErrorContains(t, err, want)
	}
}

// TestEmpty checks what becomes of records with nothing, or nothing but blanks, among
// others.
func TestEmpty(t *testing.T) {
	chatml, _ := chattemplate.Family("chatml")
	model, tok := chatFolder(t, chatml)
	turns := `{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}`
	for _, c := range []struct{ name, good, odd, want string }{
		{"an empty text", `{"text": "a b"}`, `{"text": ""}`, "3 records, 2 sequences|; 1 dropped with nothing to train on"},
		{"a blank text", `{"text": "a b"}`, `{"text": " \n"}`, "3 records, 2 sequences|; 1 dropped with nothing to train on"},
		{"no messages", `{"messages": [` + turns + `]}`, `{"messages": []}`, "3 records, 2 sequences|; 1 dropped"},
		{"only a question", `{"messages": [` + turns + `]}`, `{"messages": [{"role": "user", "content": "a"}]}`, "3 records, 2 sequences|; 1 dropped"},
		{"no tokens", `{"input_ids": [1, 2]}`, `{"input_ids": []}`, "3 records, 2 sequences|; 1 dropped"},
		{"an empty output", `{"instruction": "a", "output": "b"}`, `{"instruction": "a", "output": ""}`, "3 sequences|; 1 answers are empty: of them only the end is trained on"},
		{"an empty answer", `{"messages": [` + turns + `]}`, `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": " "}]}`, "3 sequences|; 1 answers are empty"},
		{"a null text", `{"text": "a b"}`, `{"text": null}`, `error: a.jsonl:2: "text" is null; mend it, or skip such records by ` + "`skip_bad_records`"},
		{"a null output", `{"instruction": "a", "output": "b"}`, `{"instruction": "a", "output": null}`, `error: a.jsonl:2: "output" is null; mend it`},
		{"null messages", `{"messages": [` + turns + `]}`, `{"messages": null}`, `error: a.jsonl:2: "messages" is null; mend it`},
		{"other fields", `{"messages": [` + turns + `]}`, `{"dialog": []}`, `error: a.jsonl:2: the record has the fields dialog but no "messages"; mend it`},
		{"a null content", `{"messages": [` + turns + `]}`, `{"messages": [{"role": "user", "content": null}, {"role": "assistant", "content": "b"}]}`, `error: a.jsonl:2: message 1 of "messages" has no content; only a call or reasoning can be without one; mend it`},
		{"a null role", `{"messages": [` + turns + `]}`, `{"messages": [{"role": null, "content": "a"}]}`, `error: a.jsonl:2: message 1 of "messages" has a role that is not a text; mend it`},
		{"a null message", `{"messages": [` + turns + `]}`, `{"messages": [null]}`, `error: a.jsonl:2: message 1 of "messages" is not an object with role and content; mend it`},
		{"null tokens", `{"input_ids": [1, 2]}`, `{"input_ids": null}`, `error: a.jsonl:2: "input_ids": it is null, not an array of token ids; mend it`},
	} {
		t.Run(c.name, func(t *testing.T) {
			opt := DefaultOptions()
			opt.ModelFolder = model
			path := write(t, "a.jsonl", c.good+"\n"+c.odd+"\n"+c.good+"\n")
			set, err := Load([]string{path}, tok, opt, nil)
			if want, refused := strings.CutPrefix(c.want, "error: "); refused {
				require.ErrorContains(t, err, want)
				opt.SkipBad = true
				set, err = Load([]string{path}, tok, opt, nil)
				require.NoError(t, err)
				assert.Equal(t, []int{1, 2}, []int{set.Report.Files[0].Bad, len(set.Examples)})
				return
			}
			require.NoError(t, err)
			for want := range strings.SplitSeq(c.want, "|") {
				assert.Contains(t, set.Report.Files[0].String(), want)
			}
		})
	}
}
