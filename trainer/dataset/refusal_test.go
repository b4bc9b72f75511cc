package dataset

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/internal/chattemplate"
)

// TestRefused checks that preference data, feedback, images and weights are told from
// what SFT trains on, wherever in the file they are, and that the columns which the
// message names lead on.
func TestRefused(t *testing.T) {
	chatml, _ := chattemplate.Family("chatml")
	model, tok := chatFolder(t, chatml)
	user, good, poor := `{"role": "user", "content": "a"}`, `{"role": "assistant", "content": "b"}`, `{"role": "assistant", "content": "c"}`
	for _, c := range []struct{ name, text, want, columns string }{
		{"texts", `{"prompt": "a", "chosen": "b", "rejected": "c"}`, "a preference pair (chosen, rejected), which SFT does not train on", "completion=chosen"},
		{"the rejected", `{"prompt": "a", "chosen": "b", "rejected": "c"}`, "map it by `columns` completion=chosen", "completion=rejected"},
		{"alpaca's names", `{"instruction": "a", "input": "", "chosen": "b", "rejected": "c"}`, "`columns` output=chosen", "output=chosen"},
		{"a question", `{"system": "s", "question": "a", "chosen": "b", "rejected": "c"}`, "`columns` prompt=question,completion=chosen", "prompt=question,completion=chosen"},
		{"no prompt", `{"chosen": "Human: a Assistant: b", "rejected": "Human: a Assistant: c"}`, "`columns` text=chosen", "text=chosen"},
		{"beside sft", `{"prompt": "a", "completion": "b", "chosen": "b", "rejected": "c"}`, "a preference pair (chosen, rejected)", "completion=completion"},
		{"capitals", `{"prompt": "a", "Chosen": "b", "Rejected": "c"}`, "a preference pair (chosen, rejected)", "completion=Chosen"},
		{"conversations", `{"prompt": "a", "chosen": [` + user + `, ` + good + `], "rejected": [` + user + `, ` + poor + `]}`, "`columns` messages=chosen", "messages=chosen"},
		{"with messages", `{"prompt": "a", "messages": [` + user + `, ` + good + `], "chosen": [` + user + `, ` + good + `], "rejected": [` + user + `, ` + poor + `]}`, "`columns` messages=chosen", "messages=messages"},
		{"a prompt of messages", `{"prompt": [` + user + `], "chosen": [` + good + `], "rejected": [` + poor + `]}`, "`columns` completion=chosen", "completion=chosen"},
		{"llama-factory's", `{"conversations": [{"from": "human", "value": "a"}], "chosen": {"from": "gpt", "value": "b"}, "rejected": {"from": "gpt", "value": "c"}}`, "`columns` prompt=conversations,completion=chosen", "prompt=conversations,completion=chosen"},
		{"openai's", `{"input": {"messages": [` + user + `]}, "preferred_output": [` + good + `], "non_preferred_output": [` + poor + `]}`, "`columns` prompt=input.messages,completion=preferred_output", "prompt=input.messages,completion=preferred_output"},
		{"two answers", `{"question": "a", "response_j": "b", "response_k": "c"}`, "a preference pair (response_j, response_k)", "prompt=question,completion=response_j"},
		{"tokens", `{"chosen_input_ids": [1, 2], "rejected_input_ids": [1, 3]}`, "`columns` input_ids=chosen_input_ids", "input_ids=chosen_input_ids"},

		{"kto", `{"prompt": "a", "completion": "b", "label": true}`, "KTO's feedback (label, true or false)", "weight=label"},
		{"kto, all", `{"prompt": "a", "completion": "b", "label": false}`, "or on all by `columns` label=", "label="},
		{"kto of chats", `{"messages": [` + user + `, ` + good + `], "label": true}`, "KTO's feedback (label", "weight=label"},
		{"kto_tag", `{"instruction": "a", "input": "", "output": "b", "kto_tag": true}`, "KTO's feedback (kto_tag", "weight=kto_tag"},
		{"kto of tables", `{"prompt": "a", "completion": "b", "label": "True"}`, "KTO's feedback (label", "weight=label"},
		{"kto of 1 and 0", `{"prompt": "a", "completion": "b", "label": 1}`, "KTO's feedback (label", "weight=label"},
		{"reject", `{"prompt": "a", "chosen": "b", "reject": "c"}`, "a preference pair (chosen, reject)", "completion=chosen"},
		{"shp", `{"prompt": "a", "human_ref_A": "b", "human_ref_B": "c", "labels": 1}`, "a preference pair (human_ref_a, human_ref_b)", "completion=human_ref_A"},
		{"ranked", `{"prompt": "a", "responses": ["b", "c"], "scores": [2, 1]}`, "several answers and their judgement (responses, scores)", "completion=responses.0"},
		{"steps", `{"prompt": "a", "completions": ["b", "c"], "labels": [true, false]}`, "several answers and their judgement (completions, labels)", "completion=completions.0"},

		{"an image", `{"prompt": "a", "completion": "b", "image": "a.png"}`, `"image" is "a.png", but models read only text here`, "image="},
		{"images", `{"messages": [` + user + `, ` + good + `], "images": [{"bytes": null, "path": "a.png"}]}`, `"images" is [{"bytes": null`, "images="},
		{"videos", `{"prompt": "a", "completion": "b", "Videos": ["a.mp4"]}`, `"videos" is ["a.mp4"]`, "Videos="},
		{"audio", `{"text": "a", "audio": {"array": [0.5]}}`, "leave the column out by `columns` audio=", "audio="},
		{"a negative weight", `{"text": "a b", "weight": -0.5}`, `"weight" is -0.5, but a record's weight in the loss must be from 0 to 1000`, "weight="},
		{"a large weight", `{"text": "a b", "loss_weight": 3e3}`, `"loss_weight" is 3e3`, "loss_weight="},
		{"a weight that is no number", `{"text": "a b", "sample_weight": "nan"}`, `"sample_weight" is "nan"`, "sample_weight="},
	} {
		t.Run(c.name, func(t *testing.T) {
			opt := DefaultOptions()
			opt.ModelFolder = model
			path := write(t, "a.jsonl", c.text)
			_, err := Load([]string{path}, tok, opt, nil)
			require.ErrorContains(t, err, "a.jsonl:1: ")
			require.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), "skip_bad_records")
			assert.Less(t, len(err.Error())-len(path), 290)

			late := strings.Repeat(`{"text": "x y"}`+"\n", 3) + c.text
			opt.SkipBad = true
			set, err := Load([]string{write(t, "a.jsonl", late)}, tok, opt, nil)
			require.NoError(t, err)
			assert.Equal(t, 1, set.Report.Files[0].Bad)
			opt.SkipBad = false

			opt.Columns = strings.Split(c.columns, ",")
			_, err = Load([]string{path}, tok, opt, nil)
			if c.name != "tokens" {
				require.NoError(t, err)
			}
		})
	}
}

// TestNotRefused checks that columns which look like those but mean nothing here are
// left alone and named.
func TestNotRefused(t *testing.T) {
	tok := loadTokenizer(t, "bytelevel")
	for _, c := range []struct{ name, text, want string }{
		{"a class", `{"text": "a b", "label": 1}`, "; not used: label"},
		{"a truth about a text", `{"text": "a b", "label": true}`, "; not used: label"},
		{"a class of an answer", `{"prompt": "a", "completion": "b", "label": 3}`, "; not used: label"},
		{"a judgement", `{"prompt": "a", "completion": "b", "score": 0.5, "ranking": 2, "id": "x"}`, "; not used: id, ranking, score"},
		{"one side only", `{"prompt": "a", "completion": "b", "rejected": null, "chosen": "b"}`, "; not used: chosen"},
		{"no images", `{"text": "a b", "images": [], "audio": null, "video": "", "image": {"bytes": null, "path": null}}`, "; not used: image"},
		{"a weight in words", `{"text": "a b", "weight": "heavy"}`, "; not used: weight"},
		{"weight 1", `{"text": "a b", "weight": 1.0}`, "trained on\n"},
		{"weight true", `{"text": "a b", "weight": true}`, "trained on\n"},
		{"weights 0 and 1", `{"text": "a b", "weight": 1}` + "\n" + `{"text": "c", "weight": 0}`, "; 1 dropped with nothing to train on\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			set, err := Load([]string{write(t, "a.jsonl", c.text)}, tok, DefaultOptions(), nil)
			require.NoError(t, err)
			assert.Contains(t, set.Report.Files[0].String()+"\n", c.want)
			assert.Len(t, set.Examples, 1)
		})
	}
	set, err := Load([]string{write(t, "a.csv", "prompt,completion,weight,label\na,b,1,x\nc,d,0,\n")}, tok, DefaultOptions(), nil)
	require.NoError(t, err)
	assert.Contains(t, set.Report.Files[0].String(), "2 records, 1 sequences")
	assert.Contains(t, set.Report.Files[0].String(), "; 1 dropped with nothing to train on; not used: label")
	_, err = Load([]string{write(t, "a.csv", "prompt,completion,label\na,b,True\nc,d,False\n")}, tok, DefaultOptions(), nil)
	require.ErrorContains(t, err, "KTO's feedback")
}
