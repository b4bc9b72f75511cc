package verbs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"qlora/cmd/internal/exit"
	"qlora/internal/mistaken"
	"qlora/option"
	"qlora/tokenizer"
	"qlora/trainer"
	"qlora/trainer/dataset"
	"qlora/trainer/report"
)

// sets reads the training and the evaluation records.
func (o *tuneOptions) sets(c *call, tok *tokenizer.Tokenizer, cache *dataset.Cache) (train, eval *dataset.Set, err error) {
	train, held, err := o.trainSet(c, tok, cache)
	if err != nil {
		return nil, nil, err
	}
	if held != nil {
		if removed := held.First(o.data.MaxEval); removed > 0 {
			c.note(fmt.Sprintf("the first %d of the records held out are evaluated (--max_eval_samples), %d are not used", o.data.MaxEval, removed))
		}
		return train, held, nil
	}
	eval, err = o.evalSet(c, tok, cache)
	return train, eval, err
}

// trainSet reads the training records and prints a report of them. held has those that
// val_size holds out for evaluation; nil: none. cache may be nil.
func (o *tuneOptions) trainSet(c *call, tok *tokenizer.Tokenizer, cache *dataset.Cache) (set, held *dataset.Set, err error) {
	opt := o.reading()
	opt.MaxRecords = o.data.MaxTrain
	whole := opt // before records are held out
	opt.Packing, opt.Seed = o.data.Packing, o.run.Seed
	if o.run.DataSeed != nil {
		opt.Seed = *o.run.DataSeed
	}
	for _, text := range o.data.Weights {
		weight, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, nil, exit.Wrongf("--dataset_weights: %q is not a number", text)
		}
		opt.Weights = append(opt.Weights, weight)
	}
	if o.data.ValSize == 0 {
		set, err = load(c, "dataset", o.data.Dataset, tok, opt, cache)
		return set, nil, err
	}
	if err := opt.Validate(); err != nil {
		return nil, nil, exit.AsWrong(err)
	}
	all, err := load(c, "dataset", o.data.Dataset, tok, whole, cache)
	if err != nil {
		return nil, nil, err
	}
	if set, held, err = all.HoldOut(o.data.ValSize, o.run.Seed); err != nil {
		return nil, nil, exit.AsWrong(err)
	}
	if err := set.Arrange(opt); err != nil {
		return nil, nil, exit.AsWrong(err)
	}
	for _, line := range set.Report.Arranged() {
		c.note(line)
	}
	return set, held, nil
}

// evalSet does the same for the evaluation records, if there are any: those of
// eval_dataset or, without it, of the dataset's validation and test splits. They are never
// packed: the evaluation loss is a mean over records.
func (o *tuneOptions) evalSet(c *call, tok *tokenizer.Tokenizer, cache *dataset.Cache) (*dataset.Set, error) {
	if o.run.EvalStrategy == trainer.StrategyNo {
		return new(dataset.Set), nil
	}
	paths, option := o.data.Eval, "eval_dataset"
	if len(paths) == 0 {
		option = "dataset"
		var err error
		if paths, err = dataset.EvaluationSplits(o.data.Dataset); err != nil {
			return nil, exit.AsWrong(err)
		}
	}
	if len(paths) == 0 {
		return new(dataset.Set), nil
	}
	opt := o.reading()
	opt.Evaluation, opt.MaxRecords = true, o.data.MaxEval
	return load(c, option, paths, tok, opt, cache)
}

// check returns an error for settings that select no records.
func (d *dataOptions) check() error {
	wrong := []error{dataset.CheckHoldout(d.ValSize)}
	if d.ValSize != 0 && len(d.Eval) > 0 {
		wrong = append(wrong, option.Errorf("val_size", d.ValSize, "`eval_dataset` has the evaluation records: give one of them"))
	}
	return exit.AsWrong(errors.Join(wrong...))
}

// reading returns the options for reading any dataset with the model's chat template.
func (o *tuneOptions) reading() dataset.Options {
	opt := o.data.Records
	opt.ModelFolder = o.data.Model
	opt.Compare, opt.Block = o.run.Compare()
	if o.run.Samples() {
		opt.Room = o.run.MaxCompletionLength
	}
	return opt
}

// cache returns the run's cache of token ids, or nil with --dataset_cache=false.
func (o *tuneOptions) cache() *dataset.Cache {
	if !o.data.Cache {
		return nil
	}
	return dataset.NewCache(filepath.Join(o.run.OutputDir, "dataset_cache"))
}

// A cacheOutput saves the token ids when the run begins: a run that is refused, also for
// its weights, writes nothing.
type cacheOutput struct {
	trainer.NoOutput
	cache *dataset.Cache // nil: none
	note  func(string)
}

// Start writes the cache. It notes an error and does not return it: the run needs no cache.
func (o *cacheOutput) Start(*trainer.Begin) error {
	if o.cache == nil {
		return nil
	}
	if err := o.cache.Save(); err != nil {
		o.note("cannot cache the token ids: " + plain(err))
	}
	return nil
}

// load reads records, shows progress, and prints a report of them.
func load(c *call, option string, paths []string, tok *tokenizer.Tokenizer, opt dataset.Options, cache *dataset.Cache) (*dataset.Set, error) {
	var set *dataset.Set
	var from string
	var damaged, err error
	bar := newReadingBar(c)
	if cache != nil {
		set, from, damaged, err = cache.Load(paths, tok, opt, bar.show)
	} else {
		set, err = dataset.Load(paths, tok, opt, bar.show)
	}
	bar.end()
	if damaged != nil {
		c.note(fmt.Sprintf("cache not used: %v", damaged))
	}
	switch {
	case err == nil:
	case c.Err() != nil:
		return nil, context.Cause(c)
	default:
		return nil, asMissing(option, err)
	}
	if from != "" {
		c.note(fmt.Sprintf("--%s: token ids read from the cache, %s", option, from))
	}
	for _, line := range slices.Concat(set.Report.Lines(), set.Report.Warnings()) {
		c.note(line)
	}
	return set, nil
}

// asMissing turns an error of reading an option's files into one of the input. If a
// file does not exist, the error names the option.
func asMissing(option string, err error) error {
	if missing := (*os.PathError)(nil); errors.As(err, &missing) && errors.Is(err, os.ErrNotExist) {
		return exit.AsWrong(mistaken.MissingData(option, missing.Path))
	}
	return exit.AsWrong(err)
}

// A readingBar shows the progress of reading records: a bar on a terminal, else a line
// at the end.
type readingBar struct {
	c     *call
	out   trainer.Output
	began time.Time
	last  dataset.Progress
}

func newReadingBar(c *call) *readingBar {
	return &readingBar{c: c, out: report.NewConsole(c.err), began: time.Now()}
}

// show draws the progress. It returns an error if the call was cancelled.
func (b *readingBar) show(p dataset.Progress) error {
	b.last = p
	b.out.Work(trainer.Work{What: fmt.Sprintf("tokenizing, %.0f records/s", b.rate()), Done: p.Done, Total: p.Total, Bytes: true})
	return b.c.Err()
}

func (b *readingBar) rate() float64 { return float64(b.last.Records) / time.Since(b.began).Seconds() }

func (b *readingBar) end() {
	_ = b.out.Stop(nil, nil) // leaves the bar, which cannot fail
	if b.last.Records > 0 && !isTerminal(b.c.err) {
		b.c.note(fmt.Sprintf("tokenized %d records (%s) in %v, %.0f records/s",
			b.last.Records, trainer.Bytes(b.last.Done), time.Since(b.began).Round(10*time.Millisecond), b.rate()))
	}
}
