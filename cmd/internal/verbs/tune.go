package verbs

import (
	"errors"
	"os"
	"strconv"

	"qlora/cmd/internal/exit"
	"qlora/cmd/internal/options"
	"qlora/internal/tokenizer"
	"qlora/lora"
	"qlora/nn/quantize"
	"qlora/trainer"
	"qlora/trainer/dataset"
)

// tuneOptions are the options of train, which plan takes too and of which
// preview takes those of the data.
type tuneOptions struct {
	data     dataOptions
	machine  machine
	run      trainer.Args
	method   methodOptions
	quantize quantize.Options
	adapters lora.Options
	watch    watchOptions
}

type dataOptions struct {
	Model   string   `option:"model" alias:"model_name_or_path" help:"folder with config.json, *.safetensors and tokenizer.json, in 16, 32 or (bitsandbytes) 4 bits"`
	Dataset []string `option:"dataset" help:"files, folders or quoted patterns of records to train on: .jsonl, .json, .csv, .tsv, .parquet or .txt, all but .parquet also as .gz; may be given more than once"`
	Weights []string `option:"dataset_weights" help:"how many times the records of each dataset stand in an epoch: 2,0.5 is all of the first twice and half of the second, drawn once by data_seed; default: all once"`
	Eval    []string `option:"eval_dataset" help:"files of records to evaluate"`
	Packing bool     `option:"packing" help:"fill sequences of max_length tokens with whole records, which do not see each other; eval_dataset is not packed"`
	Records dataset.Options
}

type methodOptions struct {
	Method string `option:"method" help:"qlora: adapters on a 4-bit base; lora: on the base as stored; full: the weights themselves"`
}

func newTuneOptions() *tuneOptions {
	return &tuneOptions{
		data:     dataOptions{Records: dataset.DefaultOptions()},
		machine:  machine{Device: "auto"},
		run:      trainer.DefaultArgs(),
		method:   methodOptions{Method: methodQLoRA},
		quantize: quantize.DefaultOptions(),
		adapters: lora.DefaultOptions(),
		watch:    watchOptions{Tokens: 48},
	}
}

// register gives a set the options. The hidden ones are understood only.
func (o *tuneOptions) register(set *options.Set, onlyData bool) {
	set.Add("Model and data", &o.data)
	rest := []struct {
		title  string
		target any
	}{
		{"Run", &o.run}, {"Method", &o.method}, {"4-bit base", &o.quantize}, {"Adapters", &o.adapters}, {"Watching", &o.watch}, {"Machine", &o.machine},
	}
	for _, r := range rest {
		if onlyData {
			set.AddHidden(r.target)
		} else {
			set.Add(r.title, r.target)
		}
	}
	set.TranslatePrecision()
}

// model opens the base and sets it up for the method.
func (o *tuneOptions) model(planning bool) (*trainer.Model, error) {
	m, err := openModel(o.data.Model, planning)
	if err != nil {
		return nil, err
	}
	return m, method(m, o.method.Method, o.quantize, o.adapters)
}

// trainSet reads the records to train on, and says what became of them.
func (o *tuneOptions) trainSet(c *call, tok *tokenizer.Tokenizer) (*dataset.Set, error) {
	opt := o.data.Records
	opt.Packing, opt.Seed = o.data.Packing, o.run.Seed
	if o.run.DataSeed != nil {
		opt.Seed = *o.run.DataSeed
	}
	for _, text := range o.data.Weights {
		weight, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, exit.Wrongf("--dataset_weights: %q is not a number", text)
		}
		opt.Weights = append(opt.Weights, weight)
	}
	return load(c, "dataset", o.data.Dataset, tok, opt)
}

// evalSet does the same for the records to evaluate, if there are any. They are
// never packed: the loss of an evaluation is a mean over records.
func (o *tuneOptions) evalSet(c *call, tok *tokenizer.Tokenizer) (*dataset.Set, error) {
	if len(o.data.Eval) == 0 {
		return new(dataset.Set), nil
	}
	return load(c, "eval_dataset", o.data.Eval, tok, o.data.Records)
}

func load(c *call, option string, paths []string, tok *tokenizer.Tokenizer, opt dataset.Options) (*dataset.Set, error) {
	set, err := dataset.Load(paths, tok, opt, nil)
	if missing := (*os.PathError)(nil); errors.As(err, &missing) && errors.Is(err, os.ErrNotExist) {
		return nil, exit.Wrongf("--%s: there is no %s", option, missing.Path)
	}
	if err != nil {
		return nil, exit.AsWrong(err)
	}
	for _, line := range set.Report.Lines() {
		c.note(line)
	}
	return set, nil
}
