package bench

import (
	"bufio"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/tokenizer"
	"qlora/trainer/dataset"
)

// tokenizing returns the tokenizer and the file of {"text": …} lines for the benchmarks
// of this file, named by the environment: those worth measuring are not in the
// repository.
func tokenizing(b *testing.B) (tok *tokenizer.Tokenizer, path string) {
	b.Helper()
	folder, path := os.Getenv("QLORA_BENCH_TOKENIZER"), os.Getenv("QLORA_BENCH_TEXTS")
	if folder == "" || path == "" {
		b.Skip("QLORA_BENCH_TOKENIZER is to name a folder with tokenizer.json, and QLORA_BENCH_TEXTS a .jsonl file of texts")
	}
	tok, err := tokenizer.LoadFolder(folder)
	require.NoError(b, err)
	return tok, path
}

// BenchmarkTokenize encodes all texts with one encoder, whose cache is empty at first.
func BenchmarkTokenize(b *testing.B) {
	tok, path := tokenizing(b)
	f, err := os.Open(path)
	require.NoError(b, err)
	defer f.Close()
	var texts []string
	bytes := 0
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var r struct{ Text string }
		require.NoError(b, json.Unmarshal(lines.Bytes(), &r))
		texts = append(texts, r.Text)
		bytes += len(r.Text)
	}
	require.NoError(b, lines.Err())
	b.SetBytes(int64(bytes))
	var ids []int32
	for b.Loop() {
		tokens := 0
		encoder := tok.NewEncoder()
		for _, text := range texts {
			ids = encoder.Encode(ids[:0], text, false)
			tokens += len(ids)
		}
		b.ReportMetric(float64(tokens), "tokens")
	}
}

// BenchmarkLoad measures everything between the file and training: reading, tokenizing
// on all cores, and packing.
func BenchmarkLoad(b *testing.B) {
	tok, path := tokenizing(b)
	opt := dataset.DefaultOptions()
	opt.Packing, opt.MaxLength = true, 2048
	info, err := os.Stat(path)
	require.NoError(b, err)
	b.SetBytes(info.Size())
	for b.Loop() {
		set, err := dataset.Load([]string{path}, tok, opt, nil)
		require.NoError(b, err)
		b.ReportMetric(float64(set.Report.Packing.Tokens), "tokens")
	}
}
