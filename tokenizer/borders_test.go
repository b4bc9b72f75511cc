package tokenizer

import (
	"slices"
	"strings"
	"testing"
)

func TestCutBeforeSpaces(t *testing.T) {
	for text, want := range map[string][]string{
		"":              nil,
		"▁":             {"▁"},
		"▁▁a":           {"▁▁a"},
		"▁a▁▁b▁":        {"▁a", "▁▁b", "▁"},
		"a\n▁b":         {"a\n", "▁b"},
		"\xe2\x96▁\xf0": {"\xe2\x96", "▁\xf0"},
	} {
		var got []string
		cutBeforeSpaces(piece{s: text}, func(p piece) { got = append(got, p.s) })
		if !slices.Equal(got, want) {
			t.Errorf("%q is cut into %q, want %q", text, got, want)
		}
	}
}

func TestOnlySoundVocabulariesAreCut(t *testing.T) {
	const file = `{"model":{"type":"BPE","vocab":{"▁":0,"a":1,"▁a":2,"▁▁":3,"a▁":4},"merges":[%],"ignore_merges":false}}`
	for merges, want := range map[string]bool{
		`"▁ a","▁ ▁"`:         true,
		`"▁ a","▁ ▁","a ▁"`:   false,
		``:                    true,
		`["a","▁"],["▁","▁"]`: false,
	} {
		tok, err := parse([]byte(strings.Replace(file, "%", merges, 1)))
		if err != nil {
			t.Fatal(err)
		}
		if got := tok.model.(*bpe).cutsBeforeSpaces(); got != want {
			t.Errorf("with the merges %s it is cut: %v, want %v", merges, got, want)
		}
	}
	for _, name := range []string{"llama2", "mistral", "unknown", "gpt2", "llama3"} { // all made to be awkward, or without the sign
		if load(t, name).model.(*bpe).cutsBeforeSpaces() {
			t.Errorf("%s is cut", name)
		}
	}
}

// loadSound returns a tokenizer of testdata without the merges across a border.
func loadSound(t testing.TB, name string) *Tokenizer {
	t.Helper()
	tok := load(t, name)
	b := tok.model.(*bpe)
	for p, m := range b.merges {
		if made := tok.tokens[m.id]; nextBorder(made, 0) < len(made) {
			delete(b.merges, p)
		}
	}
	if !b.cutsBeforeSpaces() {
		t.Fatalf("%s is still not cut", name)
	}
	return tok
}

// FuzzCut checks that tokens are the same whether or not a document is cut before its spaces.
func FuzzCut(f *testing.F) {
	names := []string{"llama2", "mistral", "unknown"}
	var cut, whole []*Encoder
	for _, name := range names {
		tok := loadSound(f, name)
		whole = append(whole, tok.NewEncoder())
		tok = loadSound(f, name)
		tok.preTokenizers = append(tok.preTokenizers, cutBeforeSpaces)
		cut = append(cut, tok.NewEncoder())
	}
	f.Add(hardTexts(f))
	for _, text := range []string{"", "  the  cat \r\n sat", "<s>é<L> x", "\xff \xe2\x82 ▁ ▁▁a", " ▁\u2581\u2581 z", "你 好 👨‍👩‍👧 a"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for i := range names {
			want := whole[i].Encode(nil, text, true)
			if got := cut[i].Encode(nil, text, true); !slices.Equal(got, want) {
				t.Errorf("%s: %q: %s", names[i], text, describe("ids with and without cutting", got, want))
			}
		}
	})
}
