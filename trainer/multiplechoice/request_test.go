package multiplechoice

import (
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/tokenizer"
)

// TestOneBeginning checks that a context that begins with BOS gets no second one.
func TestOneBeginning(t *testing.T) {
	tok, err := tokenizer.LoadFolder("../dataset/testdata/metaspace")
	require.NoError(t, err)
	e := tok.NewEncoder()
	want, err := encode(tok, e, "that man", "\n\n12")
	require.NoError(t, err)
	got, err := encode(tok, e, "<s>that man", "\n\n12")
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, tok.Prefix(), got.context[:1])
}
