package tokenizer

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestGolden compares ids, offsets and decoded text with Hugging Face's library on the
// tokenizers that testdata/generate.py trains.
func TestGolden(t *testing.T) {
	lists, err := filepath.Glob("testdata/*.jsonl")
	if err != nil || len(lists) < 10 {
		t.Fatalf("testdata has %d lists, want 10: %v", len(lists), err)
	}
	for _, list := range lists {
		t.Run(strings.TrimSuffix(filepath.Base(list), ".jsonl"), func(t *testing.T) {
			tok, err := Load(strings.TrimSuffix(list, "l"))
			if err != nil {
				t.Fatal(err)
			}
			compareAll(t, tok, list)
		})
	}
}
