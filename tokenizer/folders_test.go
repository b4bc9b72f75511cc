package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestFolders compares folders without tokenizer.json with AutoTokenizer of transformers; see
// testdata/folders.py. It also writes their tokenizer.json and reads it again.
func TestFolders(t *testing.T) {
	lists, err := filepath.Glob("testdata/folders/*.json")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(lists), 11)
	for _, list := range lists {
		t.Run(strings.TrimSuffix(filepath.Base(list), ".json"), func(t *testing.T) {
			var want struct {
				Files   map[string]string
				Special map[string]*int32
				Size    int
				Texts   []golden
			}
			data, err := os.ReadFile(list)
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(data, &want))
			tok, err := LoadFolder(writeFolder(t, want.Files))
			require.NoError(t, err)

			files, err := tok.Definition()
			require.NoError(t, err)
			written := map[string]string{}
			for name, data := range files {
				written[name] = string(data)
			}
			again, err := LoadFolder(writeFolder(t, written))
			require.NoError(t, err)
			for _, tok := range []*Tokenizer{tok, again} {
				assert.Equal(t, want.Size, tok.Size())
				e := tok.NewEncoder()
				for _, g := range want.Texts {
					if got := e.Encode(nil, g.Text, true); !slices.Equal(got, g.IDs) {
						t.Errorf("%q: %s", g.Text, describe("ids", names(tok, got), names(tok, g.IDs)))
					}
				}
			}
			for key, get := range map[string]func() (int32, bool){"bos_token": tok.BOS, "eos_token": tok.EOS, "pad_token": tok.PAD} {
				id, ok := get()
				if id0 := want.Special[key]; id0 == nil {
					assert.False(t, ok, key)
				} else {
					assert.Equal(t, *id0, id, key)
				}
			}
		})
	}
}

func writeFolder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}
