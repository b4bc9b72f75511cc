package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"

	"qlora/internal/atomicfile"
	"qlora/tokenizer"
	"qlora/trainer/dataset"
)

// The records of the study. All have at most maxTokens tokens, so that none is cut and a
// step is quick.
const (
	maxTokens  = 96
	heldOut    = 40 // the first records of the test file
	validation = 16 // the last records of the training file, not trained on
)

// splits are the records as token ids, in files that qlora reads.
type splits struct {
	Train, Validation, HeldOut split
}

// A split is a file of records with its properties.
type split struct {
	Path    string `json:"-"`
	Records int    `json:"records"`
	Tokens  int    `json:"tokens"`
	Trained int    `json:"predicted_tokens"`
	SHA256  string `json:"sha256"`
}

// measured returns the split on which a trial's loss is measured.
func (s *splits) measured(t trial) split {
	if t.Measure == onValidation {
		return s.Validation
	}
	return s.HeldOut
}

// writeSplits tokenizes the records of data/train.jsonl and data/test.jsonl with the
// model's own tokenizer, and writes the three parts to dir.
func writeSplits(dir, model, data string) (*splits, error) {
	tok, err := tokenizer.LoadFolder(model)
	if err != nil {
		return nil, err
	}
	train, err := short(filepath.Join(data, "train.jsonl"), tok)
	if err != nil {
		return nil, err
	}
	test, err := short(filepath.Join(data, "test.jsonl"), tok)
	if err != nil {
		return nil, err
	}
	if len(train) <= validation || len(test) < heldOut {
		return nil, fmt.Errorf("%s: of at most %d tokens there are %d records to train on and %d to hold out; more than %d and at least %d are needed",
			data, maxTokens, len(train), len(test), validation, heldOut)
	}
	s := new(splits)
	for _, part := range []struct {
		to       *split
		name     string
		examples []dataset.Example
	}{
		{&s.Train, "train", train[:len(train)-validation]},
		{&s.Validation, "validation", train[len(train)-validation:]},
		{&s.HeldOut, "heldout", test[:heldOut]},
	} {
		if *part.to, err = writeSplit(filepath.Join(dir, part.name+".jsonl"), part.examples); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// short returns the records that are short enough.
func short(path string, tok *tokenizer.Tokenizer) ([]dataset.Example, error) {
	opt := dataset.DefaultOptions()
	opt.MaxLength = 0
	set, err := dataset.Load([]string{path}, tok, opt, nil)
	if err != nil {
		return nil, err
	}
	var examples []dataset.Example
	for _, e := range set.Examples {
		if len(e.IDs) <= maxTokens {
			examples = append(examples, e)
		}
	}
	return examples, nil
}

func writeSplit(path string, examples []dataset.Example) (split, error) {
	s := split{Path: path, Records: len(examples)}
	sum := sha256.New()
	err := atomicfile.Write(path, 0o644, func(w io.Writer) error {
		lines := json.NewEncoder(io.MultiWriter(w, sum))
		for _, e := range examples {
			s.Tokens += len(e.IDs)
			s.Trained += e.Trained()
			record := struct {
				IDs    []int32 `json:"input_ids"`
				Labels []int32 `json:"labels"`
			}{e.IDs, e.Labels}
			if err := lines.Encode(record); err != nil {
				return err
			}
		}
		return nil
	})
	s.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return s, err
}
