package dataset

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"sync"

	"qlora/option"
	"qlora/tokenizer"
)

// Options configure how records become examples. The zero value detects the format and
// has no limit of length; DefaultOptions returns the command line's defaults.
type Options struct {
	Format        string   `option:"dataset_format" values:"auto,text,pretokenized,alpaca,prompt-completion,messages,sharegpt,preference,unpaired,prompt" help:"format of the records: auto, text, pretokenized, alpaca, prompt-completion, messages or sharegpt; with objective preference or, for kto, unpaired, or for grpo prompt; auto detects it from the fields"`
	MaxLength     int      `option:"max_length" null:"0" unit:"tokens" help:"maximum sequence length; longer text is split, other records are truncated at the end; 0: no limit"`
	TrainOnInputs bool     `option:"train_on_inputs" help:"train on prompts too, not only on completions and the assistant's turns"`
	ChatTemplate  string   `option:"chat_template" path:"true" help:"chat template: a file, one of the model's named templates, or a built-in one such as chatml or llama-3; default: the model's own"`
	ApplyChat     bool     `option:"apply_chat_template" help:"turn alpaca, prompt-completion and question-answer records into chats"`
	Reasoning     string   `option:"reasoning" values:"template,keep,drop" help:"reasoning of the assistant's messages (reasoning_content, thinking): template, as the chat template shows it; keep, before the answer in <think> marks where the template leaves it out; drop"`
	Columns       []string `option:"columns" help:"names of a file's columns, such as prompt=question,completion=answer; dots name nested fields, as in prompt=data.question; images= leaves a column out"`
	SkipBad       bool     `option:"skip_bad_records" help:"skip and count records that cannot be read, such as a damaged line, instead of refusing the file"`
	Loss

	// ModelFolder holds the chat template and its special tokens; "" for none.
	ModelFolder string

	// VocabularySize is the number of ids of the model; larger ids are refused. 0 means
	// unknown.
	VocabularySize int
	// Evaluation reads the validation and test splits of a folder instead of train.
	Evaluation bool
	// MaxRecords limits how many records are read, in the order of the files. 0: all.
	MaxRecords int
	// Packing fills sequences of MaxLength tokens with whole documents.
	Packing bool
	// Compare says that records have completions to compare or to judge, ComparePairs or
	// CompareJudged, or none, ComparePrompt. "": they are trained on as they are.
	Compare string
	// Room is, with ComparePrompt, the number of tokens that MaxLength leaves for a completion.
	Room int
	// Block is, with CompareJudged, the number of examples whose completions are combined
	// with each other's prompts, those of a micro-batch. 0: they are not.
	Block int
	// Weights are the number of times that each path's records occur in an epoch; see
	// mix. None means once each.
	Weights []float64
	// Seed selects the records of a weight that is not an integer.
	Seed uint64
}

// DefaultOptions returns options that detect the format and keep 1024 tokens.
func DefaultOptions() Options {
	return Options{Format: Auto, MaxLength: 1024, Reasoning: ReasoningTemplate}
}

// limitName returns the option of MaxRecords.
func (o *Options) limitName() string {
	if o.Evaluation {
		return "max_eval_samples"
	}
	return "max_train_samples"
}

// Ranges returns the intervals of the numeric options.
func (o *Options) Ranges() option.Ranges {
	return option.Ranges{"max_length": option.From(0, 1<<24)}
}

// Validate returns everything that is wrong with the options, each an [option.Error].
// It reads no files: Load checks the chat template and the weights.
func (o Options) Validate() error {
	var length error
	switch {
	case o.MaxLength == 1:
		length = option.Errorf("max_length", o.MaxLength, "a sequence needs at least 2 tokens to train on; 0 means no limit")
	case o.Packing && o.MaxLength == 0:
		length = option.Errorf("packing", o.Packing, "it fills sequences of `max_length`, which is 0, no limit")
	}
	if err := option.CheckRanges(&o); err != nil {
		return err
	}
	_, columns := columnsOf(o.Columns)
	if o.Compare != "" && o.Packing {
		return option.Errorf("packing", o.Packing, "completions that are compared are not packed")
	}
	if err := checkCompare(o.Compare); err != nil {
		return err
	}
	return errors.Join(length, columns, o.checkLoss(), checkReasoning(o.Reasoning), o.checkFormat())
}

func (o Options) purpose() Purpose {
	if o.Evaluation {
		return ForEvaluation
	}
	return ForTraining
}

// A Set is the result of Load.
type Set struct {
	Examples []Example
	// Origins are the origins of the documents, in the order of Examples.
	Origins []Origin
	Report  Report
}

// An Origin is the place where a document was read.
type Origin struct {
	File   int32 // in Report.Files
	Record int32 // in the file, from 1
	Line   int32 // where the record begins, from 1
}

// Progress is the progress of Load.
type Progress struct {
	Done, Total int64 // bytes of the files
	Records     int   // read so far
}

// Load reads the paths one after another: files, folders of files, patterns such as
// data/*.jsonl, Stdin, and JSON objects that describe a dataset (docs/data.md). tok may be nil if all records are pretokenized. progress, if not nil,
// receives the progress; an error from it aborts Load.
//
// Errors name file and line; all except read errors are about the input. A set without a
// token to train on is an error.
func Load(paths []string, tok *tokenizer.Tokenizer, opt Options, progress func(Progress) error) (*Set, error) {
	if err := opt.Validate(); err != nil {
		return nil, err
	}
	opt.Format = cmp.Or(opt.Format, Auto)
	if len(paths) == 0 {
		return nil, errors.New("no dataset is named")
	}
	sources, err := findSources(paths, opt.purpose())
	if err != nil {
		return nil, err
	}
	if err := checkWeights(opt.Weights, len(sources)); err != nil {
		return nil, err
	}
	columns, err := columnsOf(opt.Columns)
	if err != nil {
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
	l.chats = sync.OnceValues(func() (*chats, error) {
		c, err := newChats(opt, tok)
		if err != nil {
			return nil, setupError{err}
		}
		return c, nil
	})
	if opt.ChatTemplate != "" || opt.ApplyChat {
		if _, err := l.chats(); err != nil {
			return nil, err
		}
	}
	for _, s := range sources {
		if s.ranked && opt.Compare == "" {
			return nil, refuse("dataset %s: its description says that it holds preferences, which SFT does not train on; `objective` dpo does, or name one side by columns", s.paths[0])
		}
		s.format = cmp.Or(s.format, opt.Format)
		s.columns = slices.Concat(s.columns, columns)
		l.source, l.left = &s, cmp.Or(s.most, -1)
		for i, file := range s.files {
			if l.full() {
				l.set.Report.Unread++
				l.done += s.sizes[i]
				continue
			}
			if err := l.file(file, s.sizes[i]); err != nil {
				return nil, err
			}
		}
		if s.splits != "" {
			l.set.Report.Splits = append(l.set.Report.Splits, s.splits)
		}
		l.set.Report.Skipped = append(l.set.Report.Skipped, s.skipped...)
		l.set.Report.Sources = append(l.set.Report.Sources, SourceReport{strings.Join(s.paths, ", "), len(l.set.Report.Files)})
	}
	if err := l.set.Report.usable(); err != nil {
		return nil, err
	}
	return l.set, l.set.Arrange(opt)
}
