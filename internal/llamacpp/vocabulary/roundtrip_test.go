package vocabulary

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"qlora/tokenizer"
)

// TestRealTokenizers writes the tokenizers of the folders in QLORA_TOKENIZERS, a list with
// colons, as GGUF's keys and reads them back: the ids of all lines of the file
// QLORA_TOKENIZER_TEXTS must be equal.
func TestRealTokenizers(t *testing.T) {
	dirs := os.Getenv("QLORA_TOKENIZERS")
	if dirs == "" {
		t.Skip("QLORA_TOKENIZERS does not list folders with tokenizers")
	}
	data, err := os.ReadFile(os.Getenv("QLORA_TOKENIZER_TEXTS"))
	if err != nil {
		t.Fatal(err)
	}
	texts := strings.Split(string(data), "\n__ggml_vocab_test__\n")
	for dir := range strings.SplitSeq(dirs, ":") {
		t.Run(filepath.Base(filepath.Dir(dir)), func(t *testing.T) {
			tok, err := tokenizer.LoadFolder(dir)
			if err != nil {
				t.Fatal(err)
			}
			v, notes, err := Of(tok, Model{})
			if err != nil {
				t.Fatal(err)
			}
			t.Log(v.Model, v.Pre, v.IDs, *v.AddBOS, *v.AddEOS, notes)
			same(t, tok, load(t, parsed(t, v)), texts)
		})
	}
}

// parsed returns the vocabulary as it is read from the keys.
func parsed(t *testing.T, v *Vocabulary) *Vocabulary {
	t.Helper()
	keys := map[string]any{}
	v.Each(func(key string, value any) { keys[key] = value })
	got, err := Parse(func(key string) (any, bool) { value, ok := keys[key]; return value, ok })
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// same compares the ids of texts.
func same(t *testing.T, want, got *tokenizer.Tokenizer, texts []string) {
	t.Helper()
	a, b := want.NewEncoder(), got.NewEncoder()
	wrong := 0
	for _, text := range texts {
		for _, special := range []bool{false, true} {
			x, y := a.Encode(nil, text, special), b.Encode(nil, text, special)
			if !slices.Equal(x, y) {
				if wrong++; wrong < 5 {
					t.Errorf("%q, special tokens %t:\nwant %v\ngot  %v", text, special, x, y)
				}
			}
		}
		ids := a.Encode(nil, text, false)
		if x, y := want.Decode(ids, false), got.Decode(ids, false); x != y {
			if wrong++; wrong < 5 {
				t.Errorf("%v decode to %q, want %q", ids, y, x)
			}
		}
	}
	t.Logf("%d of %d texts differ", wrong, len(texts))
}
