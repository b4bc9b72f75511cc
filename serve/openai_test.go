package serve

import (
	"encoding/json"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qlora/nn"
)

// TestOpenAIClient uses the server by the openai package for Python, which streams from two
// adapters at once. QLORA_OPENAI_PYTHON is a Python that has it.
func TestOpenAIClient(t *testing.T) {
	python := os.Getenv("QLORA_OPENAI_PYTHON")
	if python == "" {
		t.Skip("QLORA_OPENAI_PYTHON names no Python with the openai package")
	}
	w := newWorld(t)
	v := w.serve(t, func(s *setup) { s.Key, s.pass = "secret", 5*time.Millisecond })
	cmd := exec.Command(python, "testdata/client.py", v.url, "first", "second", "third")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	var got struct {
		Streams []struct {
			Text, Finish string
			Usage        int
		}
		Switches, Top, Columns int
		Models                 []string
		Errors                 [][]any
		Whole, Completion      string
	}
	require.NoError(t, json.Unmarshal(out, &got))
	require.Len(t, got.Streams, 2)
	for i, name := range []string{"first", "second"} {
		want := w.alone(t, name, "u:hi<e>a:", 30, nn.Sampling{})
		require.Equal(t, want, got.Streams[i].Text)
		require.Contains(t, []string{"stop", "length"}, got.Streams[i].Finish)
		require.GreaterOrEqual(t, got.Streams[i].Usage, 7+len(want))
	}
	require.Greater(t, got.Switches, 10, "the streams take turns")
	require.Equal(t, got.Streams[0].Text, got.Whole)
	require.Equal(t, got.Streams[0].Text, got.Completion)
	require.Equal(t, 2, got.Top)
	require.Equal(t, len(got.Completion), got.Columns)
	require.Equal(t, []string{"tiny", "first", "second"}, got.Models)
	require.Equal(t, [][]any{
		{"NotFoundError", "model_not_found", "model"}, {"BadRequestError", nil, "n"}, {"AuthenticationError", "invalid_api_key", nil},
	}, got.Errors)
}
