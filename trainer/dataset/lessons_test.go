package dataset

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/internal/chattemplate"
	"qlora/tokenizer"
)

// runs returns the texts of the runs of trained tokens.
func runs(tok *tokenizer.Tokenizer, e Example) []string {
	var all []string
	var run []int32
	for _, label := range append(e.Labels, Ignored) {
		if label != Ignored {
			run = append(run, label)
		} else if run != nil {
			all = append(all, tok.Decode(run, false))
			run = nil
		}
	}
	return all
}

// TestLessons checks what the keys of messages train on, with and without the template's
// own marks.
func TestLessons(t *testing.T) {
	chatml, _ := chattemplate.Family("chatml")
	const end = "<|im_end|>"
	ask := `{"role": "user", "content": "say it"}, `
	detail := func(parts string) string {
		return `{"messages": [` + ask + `{"role": "assistant", "content": "I'm doing very well, thank you!", "train_detail": [` + parts + `]}]}`
	}
	for _, c := range []struct {
		name, text string
		want       []string
		failed     string
	}{
		{"weight 0", `{"messages": [` + ask + `{"role": "assistant", "content": "no", "weight": 0}, ` + ask + `{"role": "assistant", "content": "yes"}]}`, []string{"yes" + end}, ""},
		{"training", `{"messages": [` + ask + `{"role": "assistant", "content": "no", "training": false}, ` + ask + `{"role": "assistant", "content": "yes", "training": true}]}`, []string{"yes" + end}, ""},
		{"train", `{"conversations": [{"from": "human", "value": "a", "train": false}, {"from": "gpt", "value": "no", "train": false}, {"from": "human", "value": "a"}, {"from": "gpt", "value": "yes"}]}`, []string{"yes" + end}, ""},
		{"loss", `{"messages": [` + ask + `{"role": "assistant", "content": "no", "loss": false}, ` + ask + `{"role": "assistant", "content": "yes", "loss": true}]}`, []string{"yes" + end}, ""},
		{"loss_mask", `{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "no"}, {"from": "human", "value": "a"}, {"from": "gpt", "value": "yes"}], "loss_mask": [0, 0, 1, 1], "system": "be"}`, []string{"yes" + end}, ""},
		{"loss_mask of too few", `{"messages": [` + ask + `{"role": "assistant", "content": "a"}], "loss_mask": [1]}`, nil, `"loss_mask" needs 0 or 1 for each of the 2 messages`},
		{"null", `{"messages": [` + ask + `{"role": "assistant", "content": "yes", "weight": null, "train_detail": null}]}`, []string{"yes" + end}, ""},
		{"prompt and completion", `{"prompt": [` + ask + `{"role": "assistant", "content": "no", "weight": 0}], "completion": [{"role": "assistant", "content": "no", "weight": 0}, ` + ask + `{"role": "assistant", "content": "yes"}]}`, []string{"yes" + end}, ""},
		{"half", `{"messages": [` + ask + `{"role": "assistant", "content": "a", "weight": 0.5}]}`, nil, `message 2 of "messages" has a weight that is not 0 or 1; other weights are not supported`},
		{"a contradiction", `{"messages": [` + ask + `{"role": "assistant", "content": "a", "weight": 0, "train": true}]}`, nil, "has a train that another key contradicts"},
		{"a user's", `{"messages": [{"role": "user", "content": "a", "train": true}, {"role": "assistant", "content": "b"}]}`, nil, "is from user and has a nonzero weight"},
		{"a prompt's", `{"prompt": [` + ask + `{"role": "assistant", "content": "no", "weight": 1}], "completion": [{"role": "assistant", "content": "yes"}]}`, nil, `message 2 of "prompt" has a nonzero weight, but a prompt is not trained on`},

		{"detail", detail(`{"begin_offset": 0, "end_offset": 8, "train": false}, {"begin_offset": 9, "end_offset": 18, "train": true}, {"begin_offset": 19, "end_offset": 30, "train": false}`), []string{" very well", end}, ""},
		{"detail at the end", detail(`{"begin_offset": 20, "end_offset": 30, "train": true}`), []string{" thank you!" + end}, ""},
		{"detail beyond", detail(`{"begin_offset": 21, "end_offset": 99, "train": true}`), []string{" thank you!" + end}, ""},
		{"no detail", detail(``), nil, "none of the 1 records has anything to train on"},
		{"detail of none", detail(`{"begin_offset": 0, "end_offset": 30, "train": false}`), []string{end}, ""},
		{"detail not trained", strings.Replace(detail(`{"begin_offset": 0, "end_offset": 30, "train": true}`), `"train_detail"`, `"training": false, "train_detail"`, 1), nil, "none of the 1 records has anything to train on"},
		{"detail of a user", `{"messages": [{"role": "user", "content": "ab", "train_detail": [{"begin_offset": 0, "end_offset": 1, "train": true}]}, {"role": "assistant", "content": "b"}]}`, nil, "is from user and has a nonzero weight"},
		{"detail without train", detail(`{"begin_offset": 0, "end_offset": 30}`), nil, `has a train_detail that is not a list of {"begin_offset", "end_offset", "train"}`},
		{"detail backwards", detail(`{"begin_offset": 9, "end_offset": 3, "train": true}`), nil, "has a train_detail from 9 to 3"},
	} {
		for way, template := range map[string]string{"marked": chatml, "unmarked": marks.ReplaceAllString(chatml, "")} {
			t.Run(c.name+"/"+way, func(t *testing.T) {
				model, tok := chatFolder(t, template)
				opt := DefaultOptions()
				opt.ModelFolder = model
				set, err := Load([]string{write(t, "a.jsonl", c.text)}, tok, opt, nil)
				if c.failed != "" {
					require.ErrorContains(t, err, c.failed)
					return
				}
				require.NoError(t, err)
				assert.Equal(t, c.want, runs(tok, set.Examples[0]))
				assert.NotContains(t, set.Report.Files[0].String(), "not used")
				opt.TrainOnInputs = true
				set, err = Load([]string{write(t, "a.jsonl", c.text)}, tok, opt, nil)
				require.NoError(t, err)
				assert.Equal(t, c.name != "null", strings.Contains(set.Report.Files[0].String(), "; not used"))
			})
		}
	}
}
