package dataset

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/internal/chattemplate"
)

// TestUnused checks that the line about a file names all that its records have and
// nothing reads.
func TestUnused(t *testing.T) {
	chatml, _ := chattemplate.Family("chatml")
	named := "{% for m in messages %}<|im_start|>{{ m.role }}{% if m.name %} {{ m.name }}{% endif %}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
	silent := "{% for m in messages %}{% if m.role in ['user', 'assistant'] %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
	turns := `{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}`
	tools := `[{"type": "function", "function": {"name": "f", "parameters": {}}}]`
	many := `{"prompt": "a", "completion": "b"`
	for i := range 20 {
		many += fmt.Sprintf(`, "c%02d": 1`, i)
	}
	for _, c := range []struct {
		name, template, file, text, columns, want string
		apply                                     bool
	}{
		{name: "all used", file: "a.jsonl", text: `{"prompt": "a", "completion": "b"}`, want: "trained on"},
		{name: "columns of any record", file: "a.jsonl", text: `{"prompt": "a", "completion": "b", "score": 1}` + strings.Repeat("\n"+`{"prompt": "a", "completion": "b"}`, 5000) + "\n" + `{"prompt": "a", "completion": "b", "id": "x", "source": null}`, want: "; not used: id, score"},
		{name: "a table", file: "a.csv", text: "id,prompt,completion,note\n1,a,b,\n2,a,b,\n", want: "; not used: id"},
		{name: "many", file: "a.jsonl", text: many + "}", want: "; not used: c00, c01, c02, c03, c04, c05, c06, c07, c08, c09, c10, c11 and 8 more"},
		{name: "a long name", file: "a.jsonl", text: `{"text": "a b", "` + strings.Repeat("x", 100) + `": 1}`, want: "; not used: " + strings.Repeat("x", 40) + "…"},
		{name: "another format", file: "a.jsonl", text: `{"instruction": "a", "output": "b", "text": "a b"}`, want: "; not used: text"},
		{name: "a replaced column", file: "a.jsonl", text: `{"prompt": "no", "q": "a", "completion": "b"}`, columns: "prompt=q", want: "; not used: prompt"},
		{name: "a mapped column", file: "a.jsonl", text: `{"q": {"r": "a"}, "a": "b", "z": 1}`, columns: "prompt=q.r,completion=a", want: "; not used: z"},
		{name: "a column left out", file: "a.jsonl", text: `{"prompt": "a", "completion": "b", "images": ["c"]}`, columns: "images=", want: "; not used: images"},
		{name: "a mapped one that nothing reads", file: "a.jsonl", text: `{"prompt": "a", "completion": "b", "h": [["c", "d"]]}`, columns: "history=h", want: "; not used: h"},
		{name: "instances", file: "a.jsonl", text: `{"id": 1, "instruction": "a", "instances": [{"input": "", "output": "b", "constraints": "c"}]}`, want: "; not used: constraints, id"},
		{name: "tools without a chat", file: "a.jsonl", text: `{"prompt": "a", "completion": "b", "tools": ` + tools + `}`, want: "; not used: tools"},

		{name: "keys of messages", file: "a.jsonl", template: chatml, text: `{"id": 1, "messages": [{"role": "user", "content": "a", "name": "x", "ts": 1}, {"role": "assistant", "content": "b", "ts": null}]}`, want: "; not used: id; of messages: name, ts"},
		{name: "keys only", file: "a.jsonl", template: chatml, text: `{"messages": [{"role": "user", "content": "a", "name": "x"}, {"role": "assistant", "content": "b"}]}`, want: "; not used of messages: name"},
		{name: "a key that is read", file: "a.jsonl", template: named, text: `{"messages": [{"role": "user", "content": "a", "name": "x", "ts": 1}, {"role": "assistant", "content": "b"}]}`, want: "; not used of messages: ts"},
		{name: "keys of prompt and completion", file: "a.jsonl", template: chatml, text: `{"prompt": [{"role": "user", "content": "a", "name": "x"}], "completion": [{"role": "assistant", "content": "b"}]}`, want: "; not used of messages: name"},
		{name: "tools", file: "a.jsonl", template: chatml, text: `{"messages": [` + turns + `], "tools": ` + tools + `}`, want: "; not used: tools"},
		{name: "functions", file: "a.jsonl", template: chatml, text: `{"messages": [` + turns + `], "functions": [{"name": "f", "parameters": {}}]}`, want: "; not used: functions"},
		{name: "variables", file: "a.jsonl", template: chatml, text: `{"messages": [` + turns + `], "documents": [{"title": "t"}], "chat_template_kwargs": {"x": 1}}`, want: "; not used: chat_template_kwargs, documents"},
		{name: "a system text", file: "a.jsonl", template: chatml, text: `{"messages": [` + turns + `], "system": "be"}`, want: "trained on"},
		{name: "a second system text", file: "a.jsonl", template: chatml, text: `{"messages": [{"role": "system", "content": "is"}, ` + turns + `], "system": "be"}`, want: "trained on; not used: system"},
		{name: "a role left out", file: "a.jsonl", template: silent, text: `{"messages": [{"role": "system", "content": "quiet"}, ` + turns + `]}`, want: "; not used of messages: all of system"},
		{name: "history in a chat", file: "a.jsonl", template: chatml, text: `{"prompt": "q", "response": "r", "history": [["a", "b"]], "x": 1}`, apply: true, want: "; not used: x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			model, tok := chatFolder(t, c.template)
			opt := DefaultOptions()
			opt.ModelFolder, opt.ApplyChat = model, c.apply
			if c.columns != "" {
				opt.Columns = strings.Split(c.columns, ",")
			}
			set, err := Load([]string{write(t, c.file, c.text)}, tok, opt, nil)
			require.NoError(t, err)
			line := set.Report.Files[0].String()
			assert.True(t, strings.HasSuffix(line, c.want), line)
		})
	}
	model, tok := chatFolder(t, silent)
	opt := DefaultOptions()
	opt.ModelFolder = model
	_, err := Load([]string{write(t, "a.jsonl", `{"messages": [{"role": "martian", "content": "quiet"}, `+turns+`]}`)}, tok, opt, nil)
	require.ErrorContains(t, err, `a.jsonl:1: message 1 has the role "martian", which the chat template leaves out; the usual roles are assistant, system, tool and user`)

	model, tok = chatFolder(t, chatml)
	opt.ModelFolder = model
	typo := `{"messages": [{"role": "user", "content": "a"}, {"role": "asistant", "content": "b"}]}` + "\n"
	set, err := Load([]string{write(t, "a.jsonl", typo+`{"messages": [`+turns+`]}`)}, tok, opt, nil)
	require.NoError(t, err)
	assert.Contains(t, strings.Join(set.Report.Lines(), "\n"), `a.jsonl: 1 messages have the role "asistant" and are not trained on; the usual roles are assistant, system, tool and user`)
	_, err = Load([]string{write(t, "a.jsonl", typo)}, tok, opt, nil)
	require.ErrorContains(t, err, `none of the 1 records has anything to train on; 1 messages have the role "asistant"`)
	model, tok = chatFolder(t, "{% for m in messages %}{{ raise_exception('alternate!') }}{% endfor %}")
	opt.ModelFolder = model
	_, err = Load([]string{write(t, "a.jsonl", typo)}, tok, opt, nil)
	require.ErrorContains(t, err, `a.jsonl:1: message 2 has the role "asistant"; the usual roles are assistant, system, tool and user: chat template of `)
}
