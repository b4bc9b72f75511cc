package dataset

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/internal/chattemplate"
)

// chosenTurn and rejectedTurn are how chatml renders a question and its two answers.
const (
	askedTurn    = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n|"
	chosenTurn   = askedTurn + "yes<|im_end|>\n"
	rejectedTurn = askedTurn + "no<|im_end|>\n"
)

// loadCompared returns prompt and completions of a record of a described dataset, with the
// judgement.
func loadCompared(t *testing.T, compare, dataset, record string) (texts []string, judgement int8) {
	t.Helper()
	chatml, _ := chattemplate.Family("chatml")
	model, tok := chatFolder(t, chatml)
	lines := record
	if compare == CompareJudged { // needs both kinds
		flipped := strings.NewReplacer("true", "false", "false", "true").Replace(record)
		lines += "\n" + flipped
	}
	path := write(t, "a.jsonl", lines)
	described := strings.Replace(dataset, `"x"`, `"`+path+`"`, 1)
	set, err := Load([]string{described}, tok, Options{ModelFolder: model, Compare: compare}, nil)
	require.NoError(t, err)
	return sidesOf(t, tok, set.Examples[0]), set.Examples[0].Judgement
}

// TestAxolotlTypes checks the records of Axolotl's types of preferences.
func TestAxolotlTypes(t *testing.T) {
	const system = "<|im_start|>system\nbe terse<|im_end|>\n"
	const user, good, poor = `{"role": "user", "content": "hi"}`, `{"role": "assistant", "content": "yes"}`, `{"role": "assistant", "content": "no"}`
	both := []string{chosenTurn, rejectedTurn}
	for _, c := range []struct {
		kind, compare, record string
		want                  []string
	}{
		{"argilla", ComparePairs, `{"instruction": "hi", "chosen_response": "yes", "rejected_response": "no"}`, both},
		{"argilla", ComparePairs, `{"prompt": "hi", "chosen": [` + user + `, ` + good + `], "rejected": [` + user + `, ` + poor + `]}`, both},
		{"argilla_chat", ComparePairs, `{"chosen": [` + user + `, ` + good + `], "rejected": [` + user + `, ` + poor + `]}`, both},
		{"icr", ComparePairs, `{"input": "hi", "chosen": "yes", "rejected": "no"}`, both},
		{"intel", ComparePairs, `{"system": "be terse", "question": "hi", "chosen": "yes", "rejected": "no"}`, []string{system + chosenTurn, system + rejectedTurn}},
		{"prompt_pairs", ComparePairs, `{"prompt": "hi", "chosen": "yes", "rejected": "no"}`, both},
		{"ultra", ComparePairs, `{"prompt": "hi", "chosen": [` + user + `, ` + good + `], "rejected": [` + user + `, ` + poor + `]}`, both},
		{"default", ComparePairs, `{"messages": [` + user + `], "chosen": ` + good + `, "rejected": ` + poor + `}`, both},
		{"default", ComparePairs, `{"messages": [` + user + `], "chosen": [` + user + `, ` + good + `], "rejected": [` + user + `, ` + poor + `]}`, both},
		{"default", ComparePairs, `{"messages": [` + user + `], "chosen": "yes", "rejected": "no"}`, both},
		{"argilla", CompareJudged, `{"instruction": "hi", "completion": "yes", "label": true}`, both[:1]},
		{"argilla_chat", CompareJudged, `{"completion": [` + user + `, ` + good + `], "label": true}`, both[:1]},
		{"intel", CompareJudged, `{"question": "hi", "completion": "yes", "label": true}`, both[:1]},
		{"prompt_pairs", CompareJudged, `{"system": "be terse", "prompt": "hi", "completion": "yes", "label": true}`, []string{system + chosenTurn}},
		{"ultra", CompareJudged, `{"prompt": "hi", "completion": "yes", "label": true}`, both[:1]},
	} {
		t.Run(c.kind+" "+c.compare, func(t *testing.T) {
			got, _ := loadCompared(t, c.compare, `{"path": "x", "type": "chat_template.`+c.kind+`"}`, c.record)
			assert.Equal(t, c.want, got)
		})
	}
	got, _ := loadCompared(t, ComparePairs, `{"path": "x", "type": "chat_template.default", "field_messages": "talk", "field_chosen": "better", "field_rejected": "worse",
		"message_property_mappings": {"role": "who", "content": "says"}, "roles": {"user": ["asker"], "assistant": ["model"]}}`,
		`{"talk": [{"who": "asker", "says": "hi"}], "better": {"who": "model", "says": "yes"}, "worse": {"who": "model", "says": "no"}}`)
	assert.Equal(t, both, got)
	got, _ = loadCompared(t, ComparePairs, `{"path": "x", "type": "passthrough"}`, `{"prompt": "hi", "chosen": " yes", "rejected": " no"}`)
	assert.Equal(t, []string{"hi| yes</s>", "hi| no</s>"}, got)

	form := `{"path": "x", "type": {"field_prompt": "q", "field_chosen": "good", "field_rejected": "bad", "prompt_format": "{system}Q: {prompt}\nA:", "chosen_format": " {chosen}.", "rejected_format": " {rejected}"}}`
	got, _ = loadCompared(t, ComparePairs, form, `{"q": "hi", "good": "yes", "bad": "no"}`)
	assert.Equal(t, []string{"Q: hi\nA:| yes.</s>", "Q: hi\nA:| no</s>"}, got)
	got, judgement := loadCompared(t, CompareJudged, `{"path": "x", "type": {"field_completion": "said", "field_label": "good"}}`, `{"prompt": "hi", "said": " yes", "good": false}`)
	assert.Equal(t, []string{"hi| yes</s>"}, got)
	assert.Equal(t, int8(-1), judgement)
	_, err := entryOf(`{"path": "x", "type": {"prompt_format": "{question}"}}`)
	require.ErrorContains(t, err, "type: prompt_format has {question}, but it can have {system} {prompt}")
	_, err = entryOf(`{"path": "x", "type": {"field_chosen": "a", "field_best": "b"}}`)
	require.ErrorContains(t, err, "type is not an object of prompt_format, chosen_format")

	_, err = entryOf(`{"path": "x", "type": "chatml.intel"}`)
	require.ErrorContains(t, err, "type chatml.intel names a chat template of its own; write chat_template.intel, and give one template to all datasets by `chat_template`")
	_, err = entryOf(`{"path": "x", "type": "zephyr.nectar"}`)
	require.ErrorContains(t, err, `type is "zephyr.nectar", but it can be`)
}

// FuzzDescription checks that a description is refused or means a dataset that can be checked again,
// and that a record of its form is refused or written.
func FuzzDescription(f *testing.F) {
	for _, text := range []string{
		`{"path": "x", "type": "chat_template.intel"}`, `{"path": "x", "type": {"format": "{instruction}", "field_input": "a"}}`,
		`{"path": "x", "type": {"prompt_format": "{system}{prompt}", "field_chosen": "a", "field_label": "b"}}`,
		`{"path": "x", "ranking": true, "columns": {"chosen": "a", "rejected": "b"}, "tags": {"role_tag": "who"}}`,
	} {
		f.Add(text, `{"prompt": "a", "a": "b", "b": true}`)
	}
	f.Fuzz(func(t *testing.T, text, object string) {
		e, err := entryOf(text)
		if err != nil {
			return
		}
		require.NoError(t, Check(text))
		r := record{json: []byte(object), names: e.names}
		if r.parse() != nil {
			return
		}
		r.rename(e.columns)
		if e.pairs != nil && e.pairs.write(&r) == nil {
			require.Contains(t, r.texts, "prompt")
		}
	})
}

// TestDatasetInfoOfPreferences checks the four forms of preferences in LLaMA-Factory's
// dataset_info.json.
func TestDatasetInfoOfPreferences(t *testing.T) {
	chatml, _ := chattemplate.Family("chatml")
	model, tok := chatFolder(t, chatml)
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		infoFile: `{
			"alpaca_pairs": {"file_name": "a.json", "ranking": true, "columns": {"prompt": "instruction", "query": "input", "chosen": "better", "rejected": "worse", "history": "history"}},
			"alpaca_judged": {"file_name": "b.json", "columns": {"prompt": "instruction", "query": "input", "response": "output", "kto_tag": "good"}},
			"chat_pairs": {"file_name": "c.json", "ranking": true, "formatting": "sharegpt", "columns": {"messages": "conversations", "chosen": "chosen", "rejected": "rejected"},
				"tags": {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"}},
			"chat_judged": {"file_name": "d.json", "formatting": "sharegpt", "columns": {"messages": "messages", "kto_tag": "label"},
				"tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}}
		}`,
		"a.json": `[{"instruction": "hi", "input": "", "better": "yes", "worse": "no"}, {"instruction": "a", "input": "b", "history": [["hi", "ho"]], "better": "yes", "worse": "no"}]`,
		"b.json": `[{"instruction": "hi", "input": "", "output": "yes", "good": true}, {"instruction": "hi", "input": "", "output": "no", "good": false}]`,
		"c.json": `[{"conversations": [{"from": "human", "value": "hi"}], "chosen": {"from": "gpt", "value": "yes"}, "rejected": {"from": "gpt", "value": "no"}}]`,
		"d.json": `[{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}], "label": true},
			{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "no"}], "label": false}]`,
	} {
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	}
	both := []string{chosenTurn, rejectedTurn}
	const earlier = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nho<|im_end|>\n<|im_start|>user\na\nb<|im_end|>\n<|im_start|>assistant\n|"
	for _, c := range []struct {
		name, compare string
		want          []string
	}{
		{"alpaca_pairs", ComparePairs, append([]string{}, chosenTurn, rejectedTurn, earlier+"yes<|im_end|>\n", earlier+"no<|im_end|>\n")},
		{"alpaca_judged", CompareJudged, both},
		{"chat_pairs", ComparePairs, both},
		{"chat_pairs", CompareJudged, both},
		{"chat_judged", CompareJudged, both},
	} {
		t.Run(c.name+" "+c.compare, func(t *testing.T) {
			names, err := Described(".", []string{c.name})
			require.NoError(t, err)
			set, err := Load(names, tok, Options{ModelFolder: model, Compare: c.compare, ApplyChat: true}, nil)
			require.NoError(t, err)
			var got []string
			for _, e := range set.Examples {
				got = append(got, sidesOf(t, tok, e)...)
			}
			assert.Equal(t, c.want, got)
		})
	}
	names, err := Described(".", []string{"chat_pairs"})
	require.NoError(t, err)
	_, err = Load(names, tok, Options{ModelFolder: model}, nil)
	require.ErrorContains(t, err, filepath.Join(".", "c.json")+": its description says that it holds preferences, which SFT does not train on; `objective` dpo does")
}
