package dataset

import (
	"cmp"
	"errors"
	"sync"

	"qlora/option"
	"qlora/tokenizer"
)

// Options say how records become examples. The zero value is usable: it has no limit of
// length. DefaultOptions has the defaults of the command line.
type Options struct {
	Format        string `option:"dataset_format" help:"what a record is: auto, text, pretokenized, alpaca, prompt-completion, messages or sharegpt; auto looks at the fields"`
	MaxLength     int    `option:"max_length" unit:"tokens" help:"longest sequence; longer text is cut into pieces, other records keep their beginning; 0: no limit"`
	TrainOnInputs bool   `option:"train_on_inputs" help:"train on prompts too, not on completions and the assistant's turns alone"`
	ChatTemplate  string `option:"chat_template" help:"how chats are written: a file, one of the model's named templates, or a family such as chatml or llama-3; default: the model's own"`
	ApplyChat     bool   `option:"apply_chat_template" help:"make chats of alpaca, prompt-completion and question-answer records"`

	// ModelFolder is where the chat template and its special tokens are; "": none.
	ModelFolder string

	// VocabularySize is the number of ids that the model knows; an id beyond
	// it is refused. 0: not known.
	VocabularySize int
	// Packing fills sequences of MaxLength tokens with whole documents.
	Packing bool
	// Weights say how many times the records of each path stand in an epoch; see
	// mix. None: all once.
	Weights []float64
	// Seed decides which records are the ones of a weight that is not whole.
	Seed uint64
}

// DefaultOptions returns the defaults: formats are told apart by their fields, and a
// sequence has at most 1024 tokens.
func DefaultOptions() Options { return Options{Format: Auto, MaxLength: 1024} }

// Validate returns everything that is wrong with the options, each an [option.Error].
// It reads no files: Load checks the chat template and the weights.
func (o Options) Validate() error {
	var length error
	switch {
	case o.MaxLength < 0 || o.MaxLength == 1:
		length = option.Errorf("max_length", o.MaxLength, "a sequence needs at least 2 tokens to train on; 0 means no limit")
	case o.Packing && o.MaxLength == 0:
		length = option.Errorf("packing", o.Packing, "it fills sequences of `max_length`, and 0 means that there is no such length")
	}
	return errors.Join(length, checkFormat(cmp.Or(o.Format, Auto)))
}

// A Set is what Load returns: the examples, where they come from, and what became of
// the records.
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

// Progress says how far Load is.
type Progress struct {
	Done, Total int64 // bytes of the files
	Records     int   // read so far
}

// Load reads the paths one after another: files, folders of files, and patterns
// such as data/*.jsonl. tok may be nil where all records are pretokenized.
// progress, if not nil, receives how far Load is; an error it returns ends Load.
//
// An error names file and line; every error but one of reading a file is
// about the input. A set without a single token to train on is an error.
func Load(paths []string, tok *tokenizer.Tokenizer, opt Options, progress func(Progress) error) (*Set, error) {
	if err := opt.Validate(); err != nil {
		return nil, err
	}
	opt.Format = cmp.Or(opt.Format, Auto)
	if len(paths) == 0 {
		return nil, errors.New("no dataset is named")
	}
	sources, err := findSources(paths)
	if err != nil {
		return nil, err
	}
	if err := checkWeights(opt.Weights, len(sources)); err != nil {
		return nil, err
	}
	l := loader{opt: opt, set: new(Set), report: func(int64) error { return nil }}
	if progress != nil {
		total := int64(0)
		for _, s := range sources {
			for _, size := range s.sizes {
				total += size
			}
		}
		l.report = func(done int64) error { return progress(Progress{Done: done, Total: total, Records: l.records}) }
	}
	if tok != nil {
		l.vocabulary = newVocabulary(tok)
	}
	l.chats = sync.OnceValues(func() (*chats, error) { return newChats(opt, tok) })
	if opt.ChatTemplate != "" || opt.ApplyChat {
		if _, err := l.chats(); err != nil {
			return nil, err
		}
	}
	var ends []int // of the sources' examples
	for _, s := range sources {
		for i, file := range s.files {
			if err := l.file(file, s.sizes[i]); err != nil {
				return nil, err
			}
		}
		l.set.Report.Skipped = append(l.set.Report.Skipped, s.skipped...)
		ends = append(ends, len(l.set.Examples))
	}
	if err := l.set.Report.usable(); err != nil {
		return nil, err
	}
	if opt.Weights != nil {
		if err := l.set.mix(paths, ends, opt.Weights, opt.Seed); err != nil {
			return nil, err
		}
	}
	if opt.Packing {
		l.set.pack(opt.MaxLength)
	}
	return l.set, nil
}
