package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSentencePiece compares ids with the sentencepiece library on the models that
// testdata/spm.py trains.
func TestSentencePiece(t *testing.T) {
	compareModels(t, "testdata/sentencepiece", 7)
}

// TestSentencePieceOracle compares with models that are not in this repository; see
// testdata/spm.py.
func TestSentencePieceOracle(t *testing.T) {
	dir := os.Getenv("SENTENCEPIECE_ORACLE")
	if dir == "" {
		t.Skip("SENTENCEPIECE_ORACLE is not set")
	}
	compareModels(t, dir, 1)
}

func compareModels(t *testing.T, dir string, least int) {
	t.Helper()
	lists, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(lists), least)
	for _, list := range lists {
		name := strings.TrimSuffix(filepath.Base(list), ".jsonl")
		t.Run(name, func(t *testing.T) {
			e := modelFolder(t, filepath.Join(dir, name+".model"), nil).NewEncoder()
			f, err := os.Open(list)
			require.NoError(t, err)
			defer f.Close()
			wrong, count := 0, 0
			for dec := json.NewDecoder(f); dec.More(); count++ {
				var g struct {
					Text    string
					Raw     []byte // of a text that is not UTF-8
					IDs     []int32
					Decoded *string // nil: there is an unknown token
				}
				require.NoError(t, dec.Decode(&g))
				text := g.Text + string(g.Raw)
				got := e.Encode(nil, text, true)
				if !slices.Equal(got, g.IDs) {
					if wrong++; wrong <= 3 {
						t.Errorf("%q: %s", text, describe("ids", names(e.t, got), names(e.t, g.IDs)))
					}
				}
				if decoded := e.t.Decode(g.IDs, true); g.Decoded != nil && decoded != *g.Decoded {
					t.Errorf("%q is decoded to %q, want %q", text, decoded, *g.Decoded)
				}
				checkSpans(t, name, e, text)
			}
			if wrong > 0 {
				t.Errorf("%d of %d are wrong", wrong, count)
			}
		})
	}
}

func names(tok *Tokenizer, ids []int32) []string {
	var all []string
	for _, id := range ids {
		all = append(all, tok.Token(id))
	}
	return all
}

// modelFolder loads a folder with a tokenizer.model and other files.
func modelFolder(t testing.TB, model string, files map[string]string) *Tokenizer {
	t.Helper()
	dir := t.TempDir()
	data, err := os.ReadFile(model)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tokenizer.model"), data, 0o600))
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	tok, err := LoadFolder(dir)
	require.NoError(t, err)
	return tok
}
