// Command generate writes the texts of the demonstration, so that its base model can be made again from nothing:
// corpus.jsonl (stories to train the base on), train.jsonl and heldout.jsonl (questions), and the base's tokenizer and config.json.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"qlora/demo/bpe"
	"qlora/demo/stories"
)

type options struct {
	dir                    string
	stories, train, held   int
	vocabulary             int
	corpusSeed, recordSeed uint64
}

func main() {
	var o options
	flag.StringVar(&o.dir, "out", "", "`folder` to write to; it is made")
	flag.IntVar(&o.stories, "stories", 60000, "stories in corpus.jsonl")
	flag.IntVar(&o.train, "train", 1600, "questions in train.jsonl")
	flag.IntVar(&o.held, "heldout", 200, "questions in heldout.jsonl")
	flag.IntVar(&o.vocabulary, "vocabulary", 512, "tokens in tokenizer.json, all 256 bytes and 2 special ones among them")
	flag.Uint64Var(&o.corpusSeed, "corpus-seed", 1, "seed of the stories")
	flag.Uint64Var(&o.recordSeed, "question-seed", 1, "seed of the questions")
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
	texts := stories.Corpus(o.stories, o.corpusSeed)
	corpus := make([]textRecord, len(texts))
	for i, text := range texts {
		corpus[i].Text = text
	}
	train, held := stories.Questions(o.train, o.held, o.recordSeed)
	vocabulary, err := bpe.Train(texts, o.vocabulary)
	if err != nil {
		return err
	}
	for name, value := range map[string]any{
		"tokenizer.json":        vocabulary,
		"tokenizer_config.json": tokenizerConfig,
		"config.json":           modelConfig(len(vocabulary.Tokens)),
	} {
		if err := writeJSON(filepath.Join(o.dir, name), value); err != nil {
			return err
		}
	}
	if err := writeLines(filepath.Join(o.dir, "corpus.jsonl"), corpus); err != nil {
		return err
	}
	if err := writeLines(filepath.Join(o.dir, "train.jsonl"), train); err != nil {
		return err
	}
	return writeLines(filepath.Join(o.dir, "heldout.jsonl"), held)
}

type textRecord struct {
	Text string `json:"text"`
}

// writeLines writes a JSON object a line.
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
