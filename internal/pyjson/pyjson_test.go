package pyjson

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestQuote(t *testing.T) {
	for _, text := range []string{
		`{"a": NaN, "b": [1, -Infinity, Infinity], "NaN": "x NaN \" Infinity"}`, `NaN`, `{"a": {"b": Infinity}}`, `{"a": 1, "Infinity": "\\"}`,
	} {
		quoted := Quote([]byte(text))
		require.True(t, json.Valid(quoted), "%s", quoted)
		require.Equal(t, text, string(Unquote(quoted)))
	}
	require.Equal(t, "{", string(Quote([]byte("{"))))
}
