package dataset

import (
	"errors"
	"fmt"
	"os"

	"qlora/internal/tokenizer"
)

// Options say how records become examples. DefaultOptions has the defaults.
type Options struct {
	Format        string `option:"dataset_format" help:"what a record is: auto, text, pretokenized, alpaca or prompt-completion; auto looks at the fields"`
	MaxLength     int    `option:"max_length" unit:"tokens" help:"longest sequence; longer text is cut into pieces, other records keep their beginning; 0: no limit"`
	TrainOnInputs bool   `option:"train_on_inputs" help:"train on prompts too, not on completions alone"`

	// VocabularySize is the number of ids that the model knows; an id beyond
	// it is refused. 0: not known.
	VocabularySize int
	// Packing fills sequences of MaxLength tokens with whole documents.
	Packing bool
	// Limit reads only so many records of all files together. 0: all.
	Limit int
}

// DefaultOptions tells formats apart and keeps 1024 tokens.
func DefaultOptions() Options { return Options{Format: Auto, MaxLength: 1024} }

func (o Options) check() error {
	switch {
	case o.MaxLength < 0 || o.MaxLength == 1:
		return fmt.Errorf("max_length is %d: a sequence needs at least 2 tokens to train on; 0 means no limit", o.MaxLength)
	case o.Limit < 0:
		return fmt.Errorf("limit is %d: it must be 0, for all records, or more", o.Limit)
	case o.Packing && o.MaxLength == 0:
		return errors.New("packing needs a max_length to fill: 0 means that there is none")
	}
	return checkFormat(o.Format)
}

// A Set is what Load read.
type Set struct {
	Examples []Example
	// Origins are of the documents, in the order in which they stand in Examples.
	Origins []Origin
	Report  Report
}

// An Origin is where a document was read.
type Origin struct {
	File   int32 // in Report.Files
	Record int32 // in the file, from 1
	Line   int32 // that the record begins in, from 1
}

// Load reads the files one after another. tok may be nil where all records are
// pretokenized. progress, where it is not nil, is told the bytes read and the
// bytes there are.
//
// An error names file and line; every error but one of reading a file is
// about the input. A set without a single token to train on is an error.
func Load(paths []string, tok *tokenizer.Tokenizer, opt Options, progress func(done, total int64)) (*Set, error) {
	if err := opt.check(); err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, errors.New("no dataset is named")
	}
	total := int64(0)
	for _, path := range paths {
		if _, err := fileTypeOf(path); err != nil {
			return nil, err
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s: not a regular file; name a file of records", path)
		}
		total += info.Size()
	}
	l := loader{opt: opt, set: new(Set), report: func(done int64) {}}
	if progress != nil {
		l.report = func(done int64) { progress(min(done, total), total) }
	}
	if tok != nil {
		l.vocabulary = newVocabulary(tok)
	}
	for _, path := range paths {
		if err := l.file(path); err != nil {
			return nil, err
		}
	}
	if err := l.set.Report.usable(); err != nil {
		return nil, err
	}
	if opt.Packing {
		l.set.pack(opt.MaxLength)
	}
	return l.set, nil
}
