package dataset

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/internal/chattemplate"
)

// TestLoss checks which records are trained on as a whole: TRL trains on whole chats
// unless assistant_only_loss, and on completions unless completion_only_loss is false.
func TestLoss(t *testing.T) {
	yes, no := true, false
	source, _ := chattemplate.Family("chatml")
	dir, tok := chatFolder(t, source)
	file := write(t, "a.jsonl", `{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]}`)
	pair := write(t, "b.jsonl", `{"prompt": "one ", "completion": "two"}`)
	for _, c := range []struct {
		onInputs              bool
		assistant, completion *bool
		chat, pair            bool // trained on as a whole
	}{
		{false, nil, nil, false, false},
		{true, nil, nil, true, true},
		{false, &no, nil, true, false},
		{false, nil, &no, false, true},
		{false, &no, &yes, true, false},
		{true, &no, nil, true, true},
		{false, &yes, &yes, false, false},
	} {
		opt := Options{MaxLength: 100, ModelFolder: dir, TrainOnInputs: c.onInputs, Loss: Loss{AssistantOnly: c.assistant, CompletionOnly: c.completion}}
		for path, want := range map[string]bool{file: c.chat, pair: c.pair} {
			set, err := Load([]string{path}, tok, opt, nil)
			require.NoError(t, err)
			assert.Equal(t, want, set.Examples[0].Labels[0] != Ignored, "%s: %+v", path, c)
			set, err = Load([]string{path}, tok, opt.OnAnswers(), nil)
			require.NoError(t, err)
			assert.EqualValues(t, Ignored, set.Examples[0].Labels[0])
		}
	}
	for _, opt := range []Options{
		{TrainOnInputs: true, Loss: Loss{AssistantOnly: &yes}},
		{TrainOnInputs: true, Loss: Loss{CompletionOnly: &yes}},
	} {
		require.ErrorContains(t, opt.Validate(), "`train_on_inputs`")
	}
}
