// Command generate writes the texts of the demonstration, from which its base model is rebuilt from scratch: corpus.jsonl (texts to train the base on),
// train.jsonl, validation.jsonl and heldout.jsonl (questions), and the untrained base: config.json, model.safetensors and its tokenizer.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"qlora/checkpoint"
	"qlora/demo/bpe"
	"qlora/demo/town"
)

type options struct {
	dir              string
	texts            int
	vocabulary       int
	seed, weightSeed uint64
}

func main() {
	var o options
	flag.StringVar(&o.dir, "out", "", "`folder` to write to; it is made")
	flag.IntVar(&o.texts, "texts", 32000, "texts in corpus.jsonl")
	flag.IntVar(&o.vocabulary, "vocabulary", 1024, "tokens in tokenizer.json, all 256 bytes and 2 special ones among them")
	flag.Uint64Var(&o.seed, "seed", 1, "seed of the town and its texts")
	flag.Uint64Var(&o.weightSeed, "weight-seed", 1, "seed of the untrained weights")
	flag.Parse()
	if o.dir == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := generate(o); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func generate(o options) error {
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return err
	}
	place := town.New(o.seed)
	texts := place.Corpus(o.texts)
	corpus := make([]textRecord, len(texts))
	for i, text := range texts {
		corpus[i].Text = text
	}
	questions := place.Questions()
	vocabulary, err := bpe.Train(texts, o.vocabulary)
	if err != nil {
		return err
	}
	model := base(len(vocabulary.Tokens))
	for name, value := range map[string]any{
		"tokenizer.json":        vocabulary,
		"tokenizer_config.json": tokenizerConfig,
		"config.json":           model,
	} {
		if err := writeJSON(filepath.Join(o.dir, name), value); err != nil {
			return err
		}
	}
	if err := checkpoint.WriteFile(filepath.Join(o.dir, "model.safetensors"), initialWeights(model, o.weightSeed), nil); err != nil {
		return err
	}
	if err := writeLines(filepath.Join(o.dir, "corpus.jsonl"), corpus); err != nil {
		return err
	}
	for name, records := range map[string][]town.Record{
		"train.jsonl":      questions.Train,
		"validation.jsonl": questions.Validation,
		"heldout.jsonl":    questions.HeldOut,
	} {
		if err := writeLines(filepath.Join(o.dir, name), records); err != nil {
			return err
		}
	}
	return nil
}

type textRecord struct {
	Text string `json:"text"`
}

// writeLines writes one JSON object per line.
func writeLines[T any](path string, records []T) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if closed := f.Close(); err == nil {
			err = closed
		}
	}()
	w := bufio.NewWriter(f)
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	for i := range records {
		if err := lines.Encode(&records[i]); err != nil {
			return fmt.Errorf("%s: record %d: %w", path, i+1, err)
		}
	}
	return w.Flush()
}

func writeJSON(path string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
