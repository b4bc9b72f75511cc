package dataset

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/internal/chattemplate"
	"qlora/tokenizer"
)

// chatFolder returns a folder with the chat tokenizer and, unless "", a template.
func chatFolder(t testing.TB, template string) (string, *tokenizer.Tokenizer) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS("testdata/chat")))
	if template != "" {
		require.NoError(t, os.WriteFile(filepath.Join(dir, chattemplate.TemplateFile), []byte(template), 0o600))
	}
	tok, err := tokenizer.LoadFolder(dir)
	require.NoError(t, err)
	return dir, tok
}

var marks = regexp.MustCompile(`\{%-? (end)?generation %\}`)

// A chatCase holds records with the tokens of transformers or trl.
type chatCase struct {
	Template, Format string
	MaxLength        int  `json:"max_length"`
	OnInputs         bool `json:"train_on_inputs"`
	Apply            bool `json:"apply_chat_template"`
	Records          []json.RawMessage
	Want             []struct {
		IDs     []int32 `json:"input_ids"`
		Trained []int   // start and end of the trained spans
	}
}

// TestChatsAsTransformers compares ids and labels with transformers'
// return_assistant_tokens_mask and with trl (testdata/generate_chats.py), with the marks
// of the template and with the marks removed.
func TestChatsAsTransformers(t *testing.T) {
	var cases []chatCase
	data, err := os.ReadFile("testdata/chats.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &cases))
	for _, c := range cases {
		source, ok := chattemplate.Family(c.Template)
		require.True(t, ok)
		bare := marks.ReplaceAllString(source, "")
		require.NotContains(t, bare, "generation %")
		for way, source := range map[string]string{"marked": source, "unmarked": bare} {
			t.Run(c.Template+"/"+c.Format+"/"+way, func(t *testing.T) { c.run(t, source) })
		}
	}
}

func (c *chatCase) run(t *testing.T, template string) {
	dir, tok := chatFolder(t, template)
	var lines []string
	for _, r := range c.Records {
		lines = append(lines, string(r))
	}
	path := write(t, "chats.jsonl", strings.Join(lines, "\n"))
	opt := Options{Format: Auto, MaxLength: c.MaxLength, TrainOnInputs: c.OnInputs, ApplyChat: c.Apply, ModelFolder: dir}
	set, err := Load([]string{path}, tok, opt, nil)
	require.NoError(t, err)
	require.Len(t, set.Examples, len(c.Want))
	assert.Equal(t, c.Format, set.Report.Files[0].Format)
	for i, want := range c.Want {
		labels := slices.Repeat([]int32{Ignored}, len(want.IDs))
		for edges := range slices.Chunk(want.Trained, 2) {
			copy(labels[edges[0]:edges[1]], want.IDs[edges[0]:edges[1]])
		}
		got := set.Examples[i]
		assert.Equal(t, want.IDs, got.IDs, "record %d: %s", i, tok.Decode(got.IDs, false))
		assert.Equal(t, labels, got.Labels, "record %d: trained on is %q and should be %q", i, trainedText(tok, got.Labels), trainedText(tok, labels))
	}
}

// trainedText returns the text of the labels, with … for ignored ones.
func trainedText(tok *tokenizer.Tokenizer, labels []int32) string {
	var parts []string
	for len(labels) > 0 {
		n := slices.IndexFunc(labels, func(l int32) bool { return (l == Ignored) != (labels[0] == Ignored) })
		if n < 0 {
			n = len(labels)
		}
		if labels[0] == Ignored {
			parts = append(parts, "…")
		} else {
			parts = append(parts, tok.Decode(labels[:n], false))
		}
		labels = labels[n:]
	}
	return strings.Join(parts, "")
}

// TestWrongChats checks that invalid chats are refused with file and line, and with the
// template's own message where there is one.
func TestWrongChats(t *testing.T) {
	strict := `{% for m in messages %}{% if m.role not in ['user', 'assistant'] %}{{ raise_exception('no ' + m.role + ' here') }}{% endif %}<|im_start|>{{ m.content }}{% endfor %}`
	chatml, _ := chattemplate.Family("chatml")
	for _, c := range []struct {
		name, template, record string
		opt                    Options
		want                   string
	}{
		{"template's words", strict, `{"messages": [{"role": "oracle", "content": "x"}]}`, Options{}, "rejects the conversation: no oracle here"},
		{"template's fault", "\n{{ messages[0].missing.x }}", `{"messages": [{"role": "user", "content": "x"}]}`, Options{}, "line 2: 'dict object' has no attribute 'missing'"},
		{"no template", "", `{"messages": [{"role": "user", "content": "x"}]}`, Options{}, "has none; name one by `chat_template`: a file, or one of alpaca"},
		{"other template", "", `{"text": "x"}`, Options{ChatTemplate: "chatlm"}, `chat template "chatlm" does not exist`},
		{"template not parsed", "{% for %}", `{"messages": [{"role": "user", "content": "x"}]}`, Options{}, "line 1: found"},
		{"no messages", chatml, `{"messages": []}`, Options{}, "none of the 1 records has anything to train on"},
		{"no list", chatml, `{"messages": 5}`, Options{}, `"messages" is 5, not a list`},
		{"no object", chatml, `{"messages": ["hi"]}`, Options{}, `message 1 of "messages" is not an object with role and content`},
		{"no role", chatml, `{"messages": [{"content": "hi"}]}`, Options{}, "has no role (or from)"},
		{"other keys", chatml, `{"messages": [{"speaker": "human", "text": "hi"}]}`, Options{}, "message 1 of \"messages\" has no role (or from), but speaker, text; an entry of `datasets` names such keys by message_property_mappings, or skip such records"},
		{"role is no text", chatml, `{"messages": [{"role": 1}]}`, Options{}, "has a role that is not a text"},
		{"unknown from", chatml, `{"conversations": [{"from": "martian", "value": "hi"}]}`, Options{}, `message 1 of "conversations" is from "martian"; it must be from human, gpt,`},
		{"image", chatml, `{"messages": [{"role": "user", "content": [{"type": "image"}]}]}`, Options{}, "has a part of type image; only text is supported"},
		{"strange part", chatml, `{"messages": [{"role": "user", "content": [{"type": "text"}]}]}`, Options{}, `a part of its content that is not {"type": "text", "text": …}`},
		{"number", chatml, `{"messages": [{"role": "user", "content": 1}]}`, Options{}, "neither a text nor a list of text parts"},
		{"weight between", chatml, `{"messages": [{"role": "assistant", "content": "a", "loss_weight": 0.5}]}`, Options{}, "loss_weight that is not 0 or 1"},
		{"weight of a user", chatml, `{"messages": [{"role": "user", "content": "a", "weight": 1}]}`, Options{}, "is from user and has a nonzero weight"},
		{"call", chatml, `{"conversations": [{"from": "function_call", "value": "f(x)"}]}`, Options{}, "is a function_call, but its value is not JSON"},
		{"call without a name", chatml, `{"conversations": [{"from": "function_call", "value": "{}"}]}`, Options{}, `its value is not {"name"`},
		{"tools", chatml, `{"messages": [{"role": "user", "content": "a"}], "tools": "{"}`, Options{}, `"tools" is {, not JSON`},
		{"kwargs", chatml, `{"messages": [{"role": "user", "content": "a"}], "chat_template_kwargs": [1]}`, Options{}, "is not an object of the template's variables"},
		{"calls left out", chatml, `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {"name": "add", "arguments": {}}}]}]}`, Options{}, `message 2 calls "add", which the chat template drops`},
		{"calls left out, no content", chatml, `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": null, "tool_calls": [{"type": "function", "function": {"name": "add", "arguments": "{}"}}]}]}`, Options{}, `message 2 calls "add", which the chat template drops; use one that supports tool calls`},
		{"calls left out of all", chatml, `{"messages": [{"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {"name": "add", "arguments": {}}}]}]}`, Options{TrainOnInputs: true}, `message 1 calls "add", which the chat template drops`},
		{"calls left out, weights", chatml, `{"messages": [{"role": "assistant", "content": "", "weight": 1, "tool_calls": [{"type": "function", "function": {"name": "add", "arguments": {}}}]}]}`, Options{}, `message 1 calls "add", which the chat template drops`},
		{"calls left out of a completion", chatml, `{"prompt": [{"role": "user", "content": "a"}], "completion": [{"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {"name": "add", "arguments": {}}}]}]}`, Options{}, `message 2 calls "add", which the chat template drops`},
		{"columns of other lengths", chatml, `{"messages": {"role": ["user", "assistant"], "content": ["a"]}}`, Options{}, `"messages" is {"role": ["user"`},
		{"a cut row of the viewer", chatml, `{"row_idx": 3, "row": {"text": "a"}, "truncated_cells": ["text"]}`, Options{}, "the Hub's viewer has cut cells of the row"},
		{"Python's notation", chatml, `{"messages": "[{'role': 'user', 'content': 'a'}]"}`, Options{}, `not JSON but Python's notation; write it by json.dumps`},
		{"turns unknown", "{{ messages[-1].content | length }}", `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}`, Options{}, "does not show which parts of the text are the assistant's"},
		{"text as a chat", chatml, `{"text": "a"}`, Options{ApplyChat: true}, "the record is plain text; apply_chat_template needs"},
		{"half a chat", chatml, `{"prompt": [{"role": "user", "content": "a"}], "completion": "b"}`, Options{}, "not a text"},
		{"nothing to train on", chatml, `{"messages": [{"role": "user", "content": "a"}]}`, Options{}, "none of the 1 records has anything to train on"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, tok := chatFolder(t, c.template)
			c.opt.Format, c.opt.ModelFolder = Auto, dir
			_, err := Load([]string{write(t, "a.jsonl", c.record)}, tok, c.opt, nil)
			require.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), "\n")
		})
	}
	_, tok := chatFolder(t, "")
	path := write(t, "a.jsonl", `{"messages": [{"role": "user", "content": "a"}]}`)
	_, err := Load([]string{path}, tok, DefaultOptions(), nil)
	require.ErrorContains(t, err, "chats need a model folder")
	_, err = Load([]string{path}, nil, DefaultOptions(), nil)
	require.ErrorContains(t, err, "text needs a tokenizer")
}

// TestChatRecords checks which turns are trained on, which variables the template gets,
// and where conversations are found.
func TestChatRecords(t *testing.T) {
	chatml, _ := chattemplate.Family("chatml")
	bare := marks.ReplaceAllString(chatml, "")
	shows := "{{ tools | tojson }}{{ documents | tojson }}{{ extra }}{% for m in messages %}{% generation %}{{ m | tojson }}{% endgeneration %}{% endfor %}"
	for _, c := range []struct{ name, template, record, want string }{
		{"weights", chatml, `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "no", "weight": 0}, {"role": "user", "content": "b"}, {"role": "assistant", "content": "yes"}]}`, "…yes<|im_end|>…"},
		{"weights, unmarked", bare, `{"messages": [{"role": "user", "content": [{"type": "text", "value": "a"}], "loss_weight": 0.0}, {"role": "assistant", "content": [{"type": "text", "value": "y"}, "es"], "loss_weight": 1.0}]}`, "…yes<|im_end|>…"},
		{"weights as texts", bare, `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "no", "weight": "0"}, {"role": "user", "content": "b"}, {"role": "assistant", "content": "yes", "weight": "1.0"}, {"role": "assistant", "content": "nor", "train": "False"}]}`, "…yes<|im_end|>…"},
		{"columns of messages", bare, `{"messages": {"role": ["user", "assistant"], "content": ["a", "b"]}}`, "…b<|im_end|>…"},
		{"a row of the viewer", bare, `{"row_idx": 3, "row": {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, "truncated_cells": []}`, "…b<|im_end|>…"},
		{"roles in capitals", bare, `{"messages": [{"role": "User", "content": "a"}, {"role": "ASSISTANT", "content": "b"}]}`, "…b<|im_end|>…"},
		{"sharegpt in capitals", bare, `{"conversations": [{"from": "Human", "value": "a"}, {"from": "GPT", "value": "b"}]}`, "…b<|im_end|>…"},
		{"all fields", shows, `{"messages": [{"role": "tool", "name": "f", "content": {"x": 1}}], "tools": "[{\"name\": \"g\"}]", "documents": [{"title": "t"}], "chat_template_kwargs": {"extra": "!"}}`, `…{"role": "tool", "name": "f", "content": {"x": 1}}`},
		{"sharegpt in messages", bare, `{"messages": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}`, "…b<|im_end|>…"},
		{"roles in conversations", bare, `{"conversations": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "system": "s"}`, "…b<|im_end|>…"},
		{"an answer that is empty", bare, `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": ""}]}`, "…<|im_end|>…"},
		{
			"answers like questions", bare, `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n"}, {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}`,
			"…<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n<|im_end|>…b<|im_end|>…",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, tok := chatFolder(t, c.template)
			set, err := Load([]string{write(t, "a.jsonl", c.record)}, tok, Options{Format: Auto, ModelFolder: dir}, nil)
			require.NoError(t, err)
			assert.Equal(t, c.want, trainedText(tok, set.Examples[0].Labels), tok.Decode(set.Examples[0].IDs, false))
		})
	}
	dir, tok := chatFolder(t, chatml)
	csv := write(t, "a.csv", "messages\n\"[{\"\"role\"\": \"\"user\"\", \"\"content\"\": \"\"a\"\"}, {\"\"role\"\": \"\"assistant\"\", \"\"content\"\": \"\"b\"\"}]\"\n")
	set, err := Load([]string{csv}, tok, Options{Format: Auto, ModelFolder: dir}, nil)
	require.NoError(t, err)
	assert.Equal(t, "…b<|im_end|>…", trainedText(tok, set.Examples[0].Labels))
}

// TestChatIdentity checks that another template, or another day if it reads the date,
// changes the identity.
func TestChatIdentity(t *testing.T) {
	identity := func(template, choice string) string {
		dir, _ := chatFolder(t, template)
		return chatIdentity(Options{ModelFolder: dir, ChatTemplate: choice})
	}
	a := identity("a", "")
	assert.NotEmpty(t, a)
	assert.NotEqual(t, a, identity("b", ""))
	assert.Equal(t, a, identity("a", ""))
	assert.NotEqual(t, a, identity("a", "chatml"))
	assert.Empty(t, identity("", ""))
	assert.Contains(t, identity("{{ strftime_now('%d') }}", ""), time.Now().Format(time.DateOnly))
}

// FuzzChat checks that an invalid record is refused with a one-line error.
func FuzzChat(f *testing.F) {
	for _, seed := range []string{
		`{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": [{"type": "text", "text": "b"}], "weight": 0}]}`,
		`{"conversations": [{"from": "human", "value": "a"}, {"from": "function_call", "value": "{\"name\": \"f\"}"}], "system": "s", "tools": "[{\"name\": \"f\"}]"}`,
		`{"messages": [{"role": "developer", "content": ["a"]}, {"role": "assistant", "content": [{"type": "thinking", "thinking": "t"}, {"text": {"value": "b"}}], "reasoning": "r", "tool_calls": "[{\"name\": \"f\", \"arguments\": \"{}\"}]"}]}`,
		`{"messages": [{"role": "assistant", "content": null, "tool_calls": [{"function": 1}]}], "chat_template_kwargs": {"x": [1]}}`,
	} {
		f.Add([]byte(seed))
	}
	source, _ := chattemplate.Family("qwen-2.5")
	dir, tok := chatFolder(f, marks.ReplaceAllString(source, ""))
	opt := Options{MaxLength: 64, ModelFolder: dir}
	c := sync.OnceValues(func() (*chats, error) { return newChats(opt, tok) })
	f.Fuzz(func(t *testing.T, data []byte) {
		r := record{line: 1, json: data}
		if r.parse() != nil {
			return
		}
		format, err := (&Options{}).formatOf(r, Auto, nil)
		if err != nil || format != &messages && format != &sharegpt {
			return
		}
		made, err := newWorker(opt, newVocabulary(tok), c).make(format, r)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		for _, e := range made.examples {
			require.Len(t, e.Labels, len(e.IDs))
			require.LessOrEqual(t, len(e.IDs), 64)
			require.Positive(t, e.Trained())
		}
	})
}

// TestARecordsFaultComesBeforeTheTemplates checks that a record's own fault is reported
// before a missing chat template, which concerns every record.
func TestARecordsFaultComesBeforeTheTemplates(t *testing.T) {
	folder, tok := chatFolder(t, "")
	opt := DefaultOptions()
	opt.ModelFolder = folder
	good := `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}` + "\n"
	_, err := Load([]string{write(t, "a.jsonl", good+`{"messages": null}`+"\n")}, tok, opt, nil)
	require.ErrorContains(t, err, `a.jsonl:2: "messages" is null; mend it`)
	_, err = Load([]string{write(t, "a.jsonl", good)}, tok, opt, nil)
	require.ErrorContains(t, err, "a.jsonl:1: chats need a chat template")
}
