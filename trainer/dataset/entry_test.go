package dataset

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/tokenizer"
)

// bracketed returns the texts of examples, without special tokens, the trained part in
// brackets.
func bracketed(tok *tokenizer.Tokenizer, examples []Example) []string {
	var all []string
	for _, e := range examples {
		from := 0
		for from < len(e.Labels) && e.Labels[from] == Ignored {
			from++
		}
		all = append(all, tok.Decode(e.IDs[:from], true)+"["+tok.Decode(e.IDs[from:], true)+"]")
	}
	return all
}

func TestDescribedDatasetsAreReadAsDescribed(t *testing.T) {
	tok, dir := loadTokenizer(t, "bytelevel"), t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		return path
	}
	qa := write("qa.jsonl", `{"q": "2+2", "a": "4", "hint": "add"}`+"\n"+`{"q": "1+1?", "a": "2", "hint": ""}`+"\n")
	story := write("story.jsonl", `{"body": "once"}`)
	write("parts/a.jsonl", `{"text": "a"}`)
	write("parts/b.jsonl", `{"text": "b"}`)

	for _, c := range []struct{ name, entry, want string }{
		{"columns by list", `{"path": "qa.jsonl", "columns": ["prompt=q", "completion=a"]}`, "2+2[4]|1+1?[2]"},
		{"the first records", `{"path": "qa.jsonl", "columns": ["prompt=q", "completion=a"], "max_samples": 1}`, "2+2[4]"},
		{"a text's field", `{"path": "story.jsonl", "type": "completion", "field": "body", "ds_type": "json"}`, "[once]"},
		{"two columns of texts", `{"path": "qa.jsonl", "field_human": "q", "field_model": "a"}`, "2+2[4]|1+1?[2]"},
		{"files in a folder", `{"path": "parts", "data_files": ["b.jsonl", "a.jsonl"]}`, "[b]|[a]"},
		{"one file in a folder", `{"path": "parts", "data_files": "a.jsonl"}`, "[a]"},
		{
			"a form of the prompt",
			`{"path": "qa.jsonl", "type": {"field_instruction": "q", "field_input": "hint", "field_output": "a", "format": "<{instruction}|{input}>", "no_input_format": "<{instruction}>", "system_prompt": "S", "system_format": "{system}: "}}`,
			"S: <2+2|add>[4]|S: <1+1?>[2]",
		},
		{"braces in a form", `{"path": "story.jsonl", "type": {"field_instruction": "body", "no_input_format": "{{{instruction}}}", "field_output": "body"}}`, "{once}[once]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Chdir(dir)
			set, err := Load([]string{c.entry}, tok, DefaultOptions(), nil)
			require.NoError(t, err)
			assert.Equal(t, c.want, strings.Join(bracketed(tok, set.Examples), "|"))
		})
	}
	assert.Equal(t, []string{qa, "parts/a.jsonl", "parts/b.jsonl", story},
		PathsOf([]string{qa, `{"path": "parts", "data_files": ["a.jsonl", "b.jsonl"]}`, `{"path": "` + story + `"}`}))
}

func TestMessagesTakeTheirDatasetsNames(t *testing.T) {
	item, err := json.Marshal(map[string]string{"speaker": "customer", "says": "hi"})
	require.NoError(t, err)
	for _, c := range []struct{ name, entry string }{
		{"Axolotl's mappings", `{"path": "x", "message_property_mappings": {"role": "speaker", "content": "says"}, "roles": {"user": ["customer"], "assistant": ["agent"]}}`},
		{"Axolotl's old names", `{"path": "x", "message_field_role": "speaker", "message_field_content": "says", "roles": {"user": "customer"}}`},
		{"LLaMA-Factory's tags", `{"path": "x", "tags": {"role_tag": "speaker", "content_tag": "says", "user_tag": "customer", "assistant_tag": "agent"}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := entryOf(c.entry)
			require.NoError(t, err)
			r := record{json: []byte(`{"messages": [` + string(item) + `]}`), names: e.names}
			require.NoError(t, r.parse())
			v, _, err := r.conversation("messages")
			require.NoError(t, err)
			role, _ := v.Messages[0].Get("role")
			content, _ := v.Messages[0].Get("content")
			assert.Equal(t, "user: hi", role.(string)+": "+content.(string))
		})
	}
}

func TestDescriptionsThatCannotBeHonouredAreRefused(t *testing.T) {
	for _, c := range []struct{ entry, want string }{
		{`{"path": "x", "colums": []}`, `a dataset's description has no key "colums"; docs/data.md lists them`},
		{`{"path": 3}`, `a dataset's description is not an object of known keys with texts; docs/data.md lists them`},
		{`{}`, `the description has no path`},
		{`{"path": "x", "type": "alpaca:dance"}`, `type is "alpaca:dance", but it can be alpaca, chat_template, completion, gpteacher, passthrough, pretrain, sharegpt or the form of a prompt`},
		{`{"path": "x", "type": {"format": "{question}"}}`, `format has {question}, but it can have {instruction} {input}`},
		{`{"path": "x", "type": {"fmt": ""}}`, `type is not an object of system_prompt`},
		{`{"path": "x", "shards": 4}`, "shards is not supported; `dataset_weights` takes a part of a dataset"},
		{`{"path": "x", "roles_to_train": ["user"]}`, `roles_to_train has "user"`},
		{`{"path": "x", "train_on_eos": "last"}`, `train_on_eos is "last"`},
		{`{"path": "x", "chat_template": "llama3"}`, "give one to all datasets by `chat_template`"},
		{`{"path": "x", "columns": {"images": "pictures"}}`, `columns names images, but only text is trained on`},
		{`{"path": "x", "tags": {"bot_tag": "b"}}`, `tags has "bot_tag"`},
		{`{"path": "x", "max_samples": -1}`, `max_samples is -1, but it must be above 0`},
	} {
		_, err := entryOf(c.entry)
		if assert.Error(t, err, c.entry) {
			assert.Contains(t, err.Error(), c.want, c.entry)
		}
	}
}

func TestDatasetInfo(t *testing.T) {
	tok, dir := loadTokenizer(t, "bytelevel"), t.TempDir()
	t.Chdir(dir)
	require.NoError(t, os.Mkdir("data", 0o755))
	files := map[string]string{
		"data/dataset_info.json": `{
			"plain": {"file_name": "plain.json"},
			"named": {"file_name": "named.json", "columns": {"prompt": "q", "response": "a"}},
			"downloaded": {"hf_hub_url": "org/copy"},
			"remote": {"hf_hub_url": "org/far", "subset": "big"},
			"elsewhere": {"ms_hub_url": "org/far"},
			"ranked": {"file_name": "plain.json", "ranking": true},
			"drawn": {"file_name": "plain.json", "num_samples": 5},
			"scripted": {"script_url": "read.py"}
		}`,
		"data/plain.json": `[{"instruction": "add", "input": "1 1", "output": "2", "system": "be terse"}]`,
		"data/named.json": `[{"q": "add", "input": "left out", "a": "2"}]`,
	}
	for name, text := range files {
		require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
	}
	require.NoError(t, os.Mkdir("data/copy", 0o755))
	require.NoError(t, os.WriteFile("data/copy/train.jsonl", []byte(`{"instruction": "x", "output": "y"}`), 0o644))

	names, err := Described("data", []string{"plain", "named", "downloaded"})
	require.NoError(t, err)
	set, err := Load(names, tok, DefaultOptions(), nil)
	require.NoError(t, err)
	assert.Equal(t, []string{
		alpacaPrompt("add", "1 1") + "[2]",
		alpacaPrompt("add", "") + "[2]",
		alpacaPrompt("x", "") + "[y]",
	}, bracketed(tok, set.Examples))
	assert.Contains(t, set.Report.Files[0].String(), "system", "a column that dataset_info.json leaves out is named")

	for name, want := range map[string]string{
		"nobody":    `data/dataset_info.json: there is no dataset "nobody"; it has downloaded, drawn, elsewhere, named`,
		"elsewhere": `data/dataset_info.json: "elsewhere" is org/far on a hub; download it to data/far`,
		"drawn":     "num_samples, a random choice; choose a part by `dataset_weights`",
		"scripted":  "is read by a script or from a bucket",
	} {
		_, err := Described("data", []string{name})
		if assert.Error(t, err, name) {
			assert.Contains(t, err.Error(), want)
		}
	}
	remote, err := Described("data", []string{"remote", "plain"})
	require.NoError(t, err)
	var asked []Reference
	located, err := Located(append(remote, "file"), func(r Reference) (string, error) {
		asked = append(asked, r)
		return strings.Replace(r.Path, "org/far", "/cache/far", 1), nil
	})
	require.NoError(t, err)
	assert.Equal(t, []Reference{{Path: "org/far", Config: "big"}, {Path: "data/plain.json"}, {Path: "file"}}, asked)
	assert.Contains(t, located[0], `"path":"/cache/far"`)
	assert.Equal(t, []string{remote[1], "file"}, located[1:])
	ranked, err := Described("data", []string{"ranked"})
	require.NoError(t, err)
	_, err = Load(ranked, tok, DefaultOptions(), nil)
	assert.ErrorContains(t, err, "says that it holds preferences")
	_, err = Described("nowhere", []string{"plain"})
	assert.ErrorContains(t, err, "nowhere: there is no dataset_info.json")
	kept, err := Described("data", []string{"data/plain.json"})
	require.NoError(t, err)
	assert.Equal(t, []string{"data/plain.json"}, kept)
}
