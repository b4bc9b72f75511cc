package main

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/demo/town"
)

func TestGenerateWritesWhatItWasAskedFor(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "on the way")
	require.NoError(t, generate(options{dir: dir, texts: 300, vocabulary: 300, seed: 2, weightSeed: 1}))

	q := town.New(2).Questions()
	require.Equal(t, q.Train, readLines[town.Record](t, filepath.Join(dir, "train.jsonl")))
	require.Equal(t, q.Validation, readLines[town.Record](t, filepath.Join(dir, "validation.jsonl")))
	require.Equal(t, q.HeldOut, readLines[town.Record](t, filepath.Join(dir, "heldout.jsonl")))
	require.Len(t, readLines[textRecord](t, filepath.Join(dir, "corpus.jsonl")), 300)

	var tokenizer struct {
		Model struct{ Vocab map[string]int }
	}
	readJSON(t, filepath.Join(dir, "tokenizer.json"), &tokenizer)
	var config struct {
		Size int `json:"vocab_size"`
	}
	readJSON(t, filepath.Join(dir, "config.json"), &config)
	require.Equal(t, 300, config.Size)
	require.Len(t, tokenizer.Model.Vocab, config.Size)
}

func TestGenerateRefusesATinyVocabulary(t *testing.T) {
	err := generate(options{dir: t.TempDir(), texts: 3, vocabulary: 10})
	require.ErrorContains(t, err, "258")
}

func readLines[T any](t *testing.T, path string) []T {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	var records []T
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var record T
		require.NoError(t, json.Unmarshal(lines.Bytes(), &record))
		records = append(records, record)
	}
	return records
}

func readJSON(t *testing.T, path string, value any) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, value))
}
