package tokenizer

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// BenchmarkEncode encodes each of the hard texts of testdata, repeated to about 100 kB, with a
// warm cache. TOKENIZER_JSON and TOKENIZER_TEXT select another tokenizer and text.
func BenchmarkEncode(b *testing.B) {
	text := benchmarkText(b)
	run := func(name, path string) {
		b.Run(name, func(b *testing.B) {
			tok, err := Load(path)
			if err != nil {
				b.Fatal(err)
			}
			e := tok.NewEncoder()
			ids := e.Encode(nil, text, true)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				ids = e.Encode(ids[:0], text, true)
			}
		})
	}
	if path := os.Getenv("TOKENIZER_JSON"); path != "" {
		run("given", path)
		return
	}
	for _, name := range []string{"gpt2", "llama3", "qwen2", "llama2", "unigram"} {
		run(name, "testdata/"+name+".json")
	}
}

func benchmarkText(b *testing.B) string {
	path := os.Getenv("TOKENIZER_TEXT")
	if path == "" {
		return strings.Repeat(hardTexts(b), 20)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	return string(data)
}

func hardTexts(b testing.TB) string {
	f, err := os.Open("testdata/gpt2.jsonl")
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	var text strings.Builder
	for dec := json.NewDecoder(f); dec.More(); {
		var g golden
		if err := dec.Decode(&g); err != nil {
			b.Fatal(err)
		}
		text.WriteString(g.Text)
	}
	return text.String()
}
