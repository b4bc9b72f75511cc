package dataset

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestOneBeginning checks that a text that begins with BOS or ends with EOS itself gets
// no second one, and that a prompt's BOS is not trained on.
func TestOneBeginning(t *testing.T) {
	tok := loadTokenizer(t, "metaspace")
	ids := func(name, record string) Example {
		set, err := Load([]string{write(t, name, record)}, tok, Options{Format: Auto}, nil)
		require.NoError(t, err)
		require.Len(t, set.Examples, 1)
		return set.Examples[0]
	}
	for _, c := range []struct{ name, with, without string }{
		{"text", `{"text": "<s>that is an input</s>"}`, `{"text": "that is an input"}`},
		{"text that only begins", `{"text": "<s>that is an input"}`, `{"text": "that is an input"}`},
		{"prompt", `{"prompt": "<s>that", "completion": " is</s>"}`, `{"prompt": "that", "completion": " is"}`},
		{"empty prompt", `{"prompt": "", "completion": "<s>that is"}`, `{"prompt": "", "completion": "that is"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := ids("a.jsonl", c.without)
			assert.Equal(t, want, ids("a.jsonl", c.with))
			assert.Equal(t, int32(1), want.IDs[0])
			assert.NotEqual(t, int32(1), want.IDs[1])
			assert.Equal(t, int32(2), want.IDs[len(want.IDs)-1])
			assert.NotEqual(t, int32(2), want.IDs[len(want.IDs)-2])
		})
	}
	assert.Equal(t, []int32{1, 1}, ids("a.jsonl", `{"text": "<s><s>that"}`).IDs[:2], "what the text says stays")
}
