package vocabulary

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"qlora/internal/gguf"
	"qlora/tokenizer"
)

// TestPublishedVocabularies reads the vocabularies of llama.cpp's folder models, which
// QLORA_LLAMACPP_MODELS names: the ids of the texts in .gguf.inp are those in .gguf.out.
func TestPublishedVocabularies(t *testing.T) {
	dir := os.Getenv("QLORA_LLAMACPP_MODELS")
	if dir == "" {
		t.Skip("QLORA_LLAMACPP_MODELS does not name llama.cpp's folder models")
	}
	paths, _ := filepath.Glob(filepath.Join(dir, "ggml-vocab-*.gguf"))
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".gguf"), func(t *testing.T) {
			tok := loadGGUF(t, path)
			texts, err := os.ReadFile(path + ".inp")
			if err != nil {
				t.Skip("no .inp")
			}
			want, err := os.ReadFile(path + ".out")
			if err != nil {
				t.Fatal(err)
			}
			e := tok.NewEncoder()
			lines := strings.Split(string(want), "\n")
			wrong := 0
			all := strings.Split(string(texts), "\n__ggml_vocab_test__\n")
			for i, text := range all {
				var ids []int32
				for word := range strings.FieldsSeq(lines[i]) {
					id, err := strconv.Atoi(word)
					if err != nil {
						t.Fatal(err)
					}
					ids = append(ids, int32(id))
				}
				if got := e.Encode(nil, text, false); !slices.Equal(got, ids) {
					wrong++
					t.Errorf("text %d, %q:\nwant %v\ngot  %v", i, text, ids, got)
				}
			}
			t.Logf("%d of %d texts equal", len(all)-wrong, len(all))
		})
	}
}

// loadGGUF returns the tokenizer of a GGUF file.
func loadGGUF(t *testing.T, path string) *tokenizer.Tokenizer {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	v, err := Parse(f.Metadata().Value)
	if err != nil {
		t.Fatal(err)
	}
	return load(t, v)
}

// load returns the tokenizer of a vocabulary's files.
func load(t *testing.T, v *Vocabulary) *tokenizer.Tokenizer {
	t.Helper()
	files, err := v.Files()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tok, err := tokenizer.LoadFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}
