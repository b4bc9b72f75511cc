package tokenizer

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestOracle compares with the output of Hugging Face's library for tokenizers that are not in
// this repository. TOKENIZER_ORACLE names a folder with X.json (a tokenizer.json) and X.jsonl
// (made from it by testdata/oracle.py).
func TestOracle(t *testing.T) {
	dir := os.Getenv("TOKENIZER_ORACLE")
	if dir == "" {
		t.Skip("TOKENIZER_ORACLE is not set")
	}
	lists, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil || len(lists) == 0 {
		t.Fatalf("%s: no *.jsonl: %v", dir, err)
	}
	for _, list := range lists {
		t.Run(filepath.Base(list), func(t *testing.T) {
			tok, err := Load(strings.TrimSuffix(list, "l"))
			if err != nil {
				t.Fatal(err)
			}
			compareAll(t, tok, list)
		})
	}
}

// A golden is one text with the output of Hugging Face's library, and some ids with their text.
type golden struct {
	Text       string  `json:"text"`
	IDs        []int32 `json:"ids"`
	Spans      []int   `json:"spans"`   // start and end of each
	Decoded    *string `json:"decoded"` // nil: Text
	Skipped    *string `json:"skipped"` // nil: Decoded
	Random     []int32 `json:"random"`
	RandomText string  `json:"random_text"`
}

func compareAll(t *testing.T, tok *Tokenizer, list string) {
	t.Helper()
	f, err := os.Open(list)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewReader(f)
	e := tok.NewEncoder()
	count, wrong := 0, [5]int{}
	for dec := json.NewDecoder(lines); dec.More(); count++ {
		var g golden
		if err := dec.Decode(&g); err != nil {
			t.Fatal(err)
		}
		for i, err := range compare(tok, e, &g) {
			if err == "" {
				continue
			}
			if wrong[i]++; wrong[i] <= 3 {
				t.Errorf("text %d, %q: %s", count, g.Text, err)
			}
		}
	}
	t.Logf("%d texts; wrong: %d ids, %d spans, %d decoded, %d without special tokens, %d decoded random ids",
		count, wrong[0], wrong[1], wrong[2], wrong[3], wrong[4])
	if count == 0 {
		t.Error("no texts")
	}
}

func compare(tok *Tokenizer, e *Encoder, g *golden) (errs [5]string) {
	ids, spans := e.EncodeOffsets(g.Text, true)
	plain := e.Encode(nil, g.Text, true)
	if !slices.Equal(ids, g.IDs) || !slices.Equal(plain, g.IDs) {
		errs[0] = describe("ids with offsets", ids, g.IDs) + describe("; ids", plain, g.IDs)
	} else if want := toSpans(g.Spans); !slices.Equal(spans, want) {
		errs[1] = describe("spans", spans, want)
	}
	decoded := orElse(g.Decoded, g.Text)
	for i, d := range []struct {
		got, want string
	}{
		{tok.Decode(g.IDs, false), decoded},
		{tok.Decode(g.IDs, true), orElse(g.Skipped, decoded)},
		{tok.Decode(g.Random, false), g.RandomText},
	} {
		if d.got != d.want {
			errs[2+i] = fmt.Sprintf("decoded: got %q, want %q", d.got, d.want)
		}
	}
	return errs
}

func orElse(s *string, otherwise string) string {
	if s == nil {
		return otherwise
	}
	return *s
}

func toSpans(flat []int) []Span {
	var spans []Span
	for p := range slices.Chunk(flat, 2) {
		spans = append(spans, Span{p[0], p[1]})
	}
	return spans
}
