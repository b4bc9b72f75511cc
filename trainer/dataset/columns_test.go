package dataset

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestNamesOfDatasets compares records under the names of public datasets, as they are
// or mapped by columns, with the same texts under prompt and completion.
func TestNamesOfDatasets(t *testing.T) {
	tok := loadTokenizer(t, "bytelevel")
	alpaca := alpacaPrompt("ask", "more")
	for _, c := range []struct {
		name, file, text, columns, prompt, format string
	}{
		{"dolly", "a.jsonl", `{"instruction": "ask", "context": "more", "response": "say", "category": "qa"}`, "", alpaca, "alpaca (instruction, response)"},
		{"dolly without context", "a.jsonl", `{"instruction": "ask", "context": "", "response": "say"}`, "", alpacaPrompt("ask", ""), "alpaca (instruction, response)"},
		{"openorca", "a.jsonl", `{"id": "1", "system_prompt": "be", "question": "ask", "response": "say"}`, "", "be\nask\n", "prompt-completion (system_prompt, question, response)"},
		{"openorca without system", "a.jsonl", `{"id": "1", "system_prompt": "", "question": "ask", "response": "say"}`, "", "ask\n", "prompt-completion (system_prompt, question, response)"},
		{"sql-create-context", "a.json", `[{"question": "ask", "context": "CREATE", "answer": "say"}]`, "", "CREATE\nask\n", "prompt-completion (context, question, answer)"},
		{"no context in the first", "a.jsonl", `{"question": "", "context": null, "answer": ""}` + "\n" + `{"question": "ask", "context": "more", "answer": "say"}`, "", "more\nask\n", "prompt-completion (question, answer)"},
		{"problem and solution", "a.jsonl", `{"problem": "ask", "solution": "say", "level": 1}`, "", "ask\n", "prompt-completion (problem, solution)"},
		{"query and response", "a.csv", "query,response\nask,say\n", "", "ask\n", "prompt-completion (query, response)"},
		{"question and response", "a.jsonl", `{"question": "ask", "response": "say"}`, "", "ask\n", "prompt-completion (question, response)"},
		{"prompt and response", "a.jsonl", `{"prompt": "ask", "response": "say"}`, "", "ask", "prompt-completion (prompt, response)"},
		{"inputs and targets", "a.jsonl", `{"inputs": "ask", "targets": "say"}`, "", "ask\n", "prompt-completion (inputs, targets)"},
		{"input and target", "a.jsonl", `{"kind": "x", "input": "ask", "target": "say"}`, "", "ask\n", "prompt-completion (input, target)"},
		{"query and answer", "a.jsonl", `{"query": "ask", "answer": "say"}`, "", "ask\n", "prompt-completion (query, answer)"},
		{"question and solution", "a.jsonl", `{"question": "ask", "solution": "say"}`, "", "ask\n", "prompt-completion (question, solution)"},
		{"human and assistant", "a.jsonl", `{"human": "ask", "assistant": "say"}`, "", "ask\n", "prompt-completion (human, assistant)"},
		{"user and assistant", "a.csv", "User,Assistant\nask,say\n", "", "ask\n", "prompt-completion (user, assistant)"},
		{"capitals", "a.jsonl", `{"Instruction": "ask", "INPUT": "more", "Output": "say"}`, "", alpaca, "alpaca"},
		{"capitals in a table", "a.csv", "Question,Answer\nask,say\n", "", "ask\n", "prompt-completion (question, answer)"},
		{"small ones first", "a.jsonl", `{"Prompt": "no", "prompt": "ask", "completion": "say"}`, "", "ask", "prompt-completion (prompt, completion)"},
		{"mapped", "a.jsonl", `{"q": "ask", "a": "say"}`, "prompt=q,completion=a", "ask", "prompt-completion (prompt, completion)"},
		{"mapped in a table", "a.csv", "Q 1,a\nask,say\n", "prompt=Q 1,completion=a", "ask", "prompt-completion (prompt, completion)"},
		{"mapped and nested", "a.jsonl", `{"row": {"q": ["no", "ask"]}, "a.b": {"c": "say"}}`, "prompt=row.q.1,completion=a.b.c", "ask", "prompt-completion (prompt, completion)"},
		{"nested in a cell", "a.csv", "row,a\n\"{\"\"q\"\": \"\"ask\"\"}\",say\n", "question=row.q,answer=a", "ask\n", "prompt-completion (question, answer)"},
		{"exchanged", "a.jsonl", `{"prompt": "say", "completion": "ask"}`, "prompt=completion,completion=prompt", "ask", "prompt-completion (prompt, completion)"},
		{"mapped beside another format", "a.jsonl", `{"instruction": "no", "output": "no", "Q": "ask", "a": "say"}`, "prompt=Q,completion=a", "ask", "prompt-completion (prompt, completion)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			opt := DefaultOptions()
			if c.columns != "" {
				opt.Columns = strings.Split(c.columns, ",")
			}
			got, err := Load([]string{write(t, c.file, c.text)}, tok, opt, nil)
			require.NoError(t, err)
			want, err := newWorker(DefaultOptions(), newVocabulary(tok), nil).pair(c.prompt, "say")
			require.NoError(t, err)
			assert.Equal(t, want, got.Examples[len(got.Examples)-1])
			assert.Equal(t, c.format, got.Report.Files[0].Format)
		})
	}
}

// TestNamesInChats checks the chats of formats with further texts.
func TestNamesInChats(t *testing.T) {
	model, tok := chatFolder(t, "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}")
	opt := DefaultOptions()
	opt.ModelFolder, opt.ApplyChat = model, true
	for text, messages := range map[string]string{
		`{"system_prompt": "be", "question": "ask", "response": "say"}`:             `{"role": "system", "content": "be"}, {"role": "user", "content": "ask"}`,
		`{"system_prompt": "", "question": "ask", "response": "say"}`:               `{"role": "user", "content": "ask"}`,
		`{"context": "more", "question": "ask", "answer": "say"}`:                   `{"role": "user", "content": "more\nask"}`,
		`{"instruction": "ask", "context": "more", "response": "say"}`:              `{"role": "user", "content": "ask\nmore"}`,
		`{"system": "be", "question": "ask", "context": null, "answer": "say"}`:     `{"role": "system", "content": "be"}, {"role": "user", "content": "ask"}`,
		`{"System": "be", "Problem": "ask", "Solution": "say", "other": "ignored"}`: `{"role": "system", "content": "be"}, {"role": "user", "content": "ask"}`,
	} {
		got, err := Load([]string{write(t, "a.jsonl", text)}, tok, opt, nil)
		require.NoError(t, err)
		want, err := Load([]string{write(t, "a.jsonl", `{"messages": [`+messages+`, {"role": "assistant", "content": "say"}]}`)}, tok, opt, nil)
		require.NoError(t, err)
		assert.Equal(t, want.Examples, got.Examples, text)
	}
}

func TestNamesRefused(t *testing.T) {
	tok := loadTokenizer(t, "bytelevel")
	for _, c := range []struct{ columns, text, want string }{
		{"prompt", `{}`, "`columns` is \"prompt\", but it must be like prompt=question"},
		{"=q", `{}`, "it must be like prompt=question"},
		{"promt=q", `{}`, "promt is no field of a format; it must be one such as prompt,"},
		{"prompt=a,prompt=b", `{}`, "prompt is mapped twice"},
		{"prompt=q,completion=a", `{"q": "ask", "b": "say"}`, "a.jsonl:1: the record has the fields b, q, but no \"a\", which `columns` maps to completion"},
		{"prompt=q,completion=a.1", `{"q": "ask", "a": ["b", "c"]}` + "\n" + `{"q": "ask", "a": ["b"]}`, "a.jsonl:2: the record has the fields a, q, but no \"a.1\", which `columns` maps to completion"},
		{"prompt=q.r.s,completion=a", `{"q": {"r": 1}, "a": "say"}`, "but no \"q.r.s\""},
		{"prompt=q.2,completion=a", `{"q": ["x", "y"], "a": "say"}`, "but no \"q.2\""},
		{"prompt=q.-1,completion=a", `{"q": ["x", "y"], "a": "say"}`, "but no \"q.-1\""},
		{"prompt=q.r,completion=a", `{"q": {"r": 1}, "a": "say"}`, `"prompt" is 1, not a text`},
		{"prompt=q", `{"q": "ask", "b": "say"}`, "the record has the fields b, q, which are no format's"},
		{"", `{"instruction": "a", "output": null}`, `a.jsonl:1: "output" is null; remove the record, or skip`},
		{"", `{"messages": null}`, `a.jsonl:1: "messages" is null; remove the record`},
		{"", `{"b": "say"}`, "map them by `columns`, such as prompt=question"},
	} {
		opt := DefaultOptions()
		if c.columns != "" {
			opt.Columns = strings.Split(c.columns, ",")
		}
		_, err := Load([]string{write(t, "a.jsonl", c.text)}, tok, opt, nil)
		require.ErrorContains(t, err, c.want)
	}
}
