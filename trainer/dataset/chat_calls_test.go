package dataset

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/internal/chattemplate"
)

// Templates that read the arguments of calls in different forms.
const (
	chatHead    = "{% for m in messages %}<|im_start|>{{ m.role }}\n"
	chatTail    = "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
	eachCall    = "{{ m.content or '' }}{% for c in m.tool_calls or [] %}{{ c.function.name }}:"
	asJSON      = chatHead + eachCall + "{{ c.function.arguments | tojson }}{% endfor %}" + chatTail
	asPairs     = chatHead + eachCall + "{% for k, v in c.function.arguments | items %}{{ k }}={{ v }};{% endfor %}{% endfor %}" + chatTail
	asText      = chatHead + eachCall + "{{ '' + c.function.arguments }}{% endfor %}" + chatTail
	asEither    = chatHead + eachCall + "{{ c.function.arguments if c.function.arguments is string else c.function.arguments | tojson }}{% endfor %}" + chatTail
	withoutCall = chatHead + "{{ m.content or '' }}" + chatTail
)

// rendered returns the text of a file's first record under a template.
func rendered(t *testing.T, template, name, data string, opt Options) (string, *Set, error) {
	t.Helper()
	dir, tok := chatFolder(t, template)
	opt.Format, opt.ModelFolder = Auto, dir
	set, err := Load([]string{write(t, name, data)}, tok, opt, nil)
	if err != nil {
		return "", nil, err
	}
	return tok.Decode(set.Examples[0].IDs, false), set, nil
}

// TestArguments checks that the arguments of calls have the form that the template reads.
func TestArguments(t *testing.T) {
	qwen25, _ := chattemplate.Family("qwen-2.5")
	qwen3, _ := chattemplate.Family("qwen-3")
	llama31, _ := chattemplate.Family("llama-3.1")
	mistral, _ := chattemplate.Family("mistral-v3-tekken")
	const text, object = `"{\"city\":\"Oslo\", \"n\": 1}"`, `{"city": "Oslo", "n": 1}`
	for _, c := range []struct{ name, template, arguments, want string }{
		{"text, qwen-2.5", qwen25, text, `"arguments": {"city": "Oslo", "n": 1}}`},
		{"object, qwen-2.5", qwen25, object, `"arguments": {"city": "Oslo", "n": 1}}`},
		{"text, qwen-3 writes it as it is", qwen3, text, `"arguments": {"city":"Oslo", "n": 1}}`},
		{"object, qwen-3", qwen3, object, `"arguments": {"city": "Oslo", "n": 1}}`},
		{"text, llama-3.1", llama31, text, `"parameters": {"city": "Oslo", "n": 1}}`},
		{"text, mistral", mistral, text, `"arguments": {"city": "Oslo", "n": 1}`},
		{"text, pairs", asPairs, text, "f:city=Oslo;n=1;"},
		{"text, text", asText, text, `f:{"city":"Oslo", "n": 1}`},
		{"object, text", asText, object, `f:{"city": "Oslo", "n": 1}`},
		{"text, either", asEither, text, `f:{"city":"Oslo", "n": 1}`},
		{"object, either", asEither, object, `f:{"city": "Oslo", "n": 1}`},
		{"invalid JSON, text", asText, `"{city"`, "f:{city"},
		{"encoded twice", asJSON, `"\"{\\\"city\\\": 1}\""`, `f:{"city": 1}`},
		{"empty, object", asJSON, `""`, "f:{}"},
		{"null, object", asJSON, `null`, "f:{}"},
		{"empty, text", asText, `" "`, "f:{}"},
		{"a member that is null stays", asJSON, `{"city": null}`, `f:{"city": null}`},
		{"a text with a member that is null", asJSON, `"{\"city\": null}"`, `f:{"city": null}`},
		{"invalid JSON", asJSON, `"{city"`, `error message 2 calls "f" with arguments that are {city, not JSON`},
		{"not an object", asPairs, `"[1]"`, `error message 2 calls "f" with arguments that are [1], not a JSON object`},
	} {
		t.Run(c.name, func(t *testing.T) {
			record := fmt.Sprintf(`{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "", "tool_calls": [{"id": "abcdefghi", "type": "function", "function": {"name": "f", "arguments": %s}}]}]}`, c.arguments)
			text, _, err := rendered(t, c.template, "a.jsonl", record, Options{})
			if want, refused := strings.CutPrefix(c.want, "error "); refused {
				require.ErrorContains(t, err, want)
				return
			}
			require.NoError(t, err)
			assert.Contains(t, text, c.want)
		})
	}
}

// TestCallsInOtherForms checks calls and tools that are JSON texts, and lists of none.
func TestCallsInOtherForms(t *testing.T) {
	show := "{{ tools | tojson }}" + asJSON
	for _, c := range []struct{ name, record, want string }{
		{"calls as a text", `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "", "tool_calls": "[{\"function\": {\"name\": \"f\", \"arguments\": \"{\\\"x\\\": 1}\"}}]"}]}`, `f:{"x": 1}`},
		{"no calls", `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "tool_calls": []}]}`, "assistant\nb<|im_end|>"},
		{"no calls as a text", `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "tool_calls": ""}]}`, "assistant\nb<|im_end|>"},
		{"tools as texts", `{"tools": ["{\"name\": \"f\"}"], "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}`, `[{"type": "function", "function": {"name": "f"}}]`},
		{"parameters as a text", `{"tools": [{"type": "function", "function": {"name": "f", "parameters": "{\"type\": \"object\"}"}}], "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}`, `{"name": "f", "parameters": {"type": "object"}}}]`},
		{"calls that are no JSON", `{"messages": [{"role": "assistant", "tool_calls": "f()"}]}`, `error message 1 of "messages" has tool_calls that are f(), not JSON`},
		{"calls that are no list", `{"messages": [{"role": "assistant", "tool_calls": {"a": 1}}]}`, "error has tool_calls that are not a list"},
		{"a tool that is no JSON", `{"tools": ["f"], "messages": [{"role": "user", "content": "a"}]}`, `error tool 1 of "tools" is f, not a JSON object`},
	} {
		t.Run(c.name, func(t *testing.T) {
			text, _, err := rendered(t, show, "a.jsonl", c.record, Options{})
			if want, refused := strings.CutPrefix(c.want, "error "); refused {
				require.ErrorContains(t, err, want)
				return
			}
			require.NoError(t, err)
			assert.Contains(t, text, c.want)
		})
	}
}

// TestColumnsInventNoArguments checks that the members that a column of structs adds to
// each object, as nulls, are not seen: calls of two tools share a column.
func TestColumnsInventNoArguments(t *testing.T) {
	type arguments struct {
		City *string `parquet:"city,optional"`
		Days *int64  `parquet:"days,optional"`
		Expr *string `parquet:"expr,optional"`
	}
	type function struct {
		Name      string     `parquet:"name"`
		Arguments *arguments `parquet:"arguments,optional"`
	}
	type call struct {
		Type     string   `parquet:"type"`
		Function function `parquet:"function"`
	}
	type message struct {
		Role    string  `parquet:"role"`
		Content *string `parquet:"content,optional"`
		Calls   []call  `parquet:"tool_calls,list"`
	}
	type tool struct {
		Name   string     `parquet:"name"`
		Schema *arguments `parquet:"parameters,optional"`
	}
	type row struct {
		Messages []message `parquet:"messages,list"`
		Tools    []tool    `parquet:"tools,list"`
	}
	city, expr, ask, days := "Oslo", "2+2", "a", int64(2)
	calls := []call{
		{"function", function{"weather", &arguments{City: &city, Days: &days}}},
		{"function", function{"calc", &arguments{Expr: &expr}}},
		{"function", function{"now", nil}},
	}
	var file bytes.Buffer
	require.NoError(t, parquet.Write(&file, []row{{
		Messages: []message{{Role: "user", Content: &ask}, {Role: "assistant", Calls: calls}},
		Tools:    []tool{{Name: "weather", Schema: &arguments{City: &city}}},
	}}))
	dir, tok := chatFolder(t, "{{ tools | tojson }}"+asJSON)
	path := filepath.Join(t.TempDir(), "a.parquet")
	require.NoError(t, os.WriteFile(path, file.Bytes(), 0o600))
	set, err := Load([]string{path}, tok, Options{Format: Auto, ModelFolder: dir}, nil)
	require.NoError(t, err)
	text := tok.Decode(set.Examples[0].IDs, false)
	assert.Contains(t, text, `weather:{"city": "Oslo", "days": 2}calc:{"expr": "2+2"}now:{}`)
	assert.Contains(t, text, `"parameters": {"city": "Oslo"}}`)
}
