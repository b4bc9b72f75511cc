package verbs

import (
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
	Dataset []string `option:"dataset" help:"files of records to train on: .jsonl, .json or .txt; may be given more than once"`
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
	opt.Packing = o.data.Packing
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
	if err := existing(option, paths...); err != nil {
		return nil, err
	}
	set, err := dataset.Load(paths, tok, opt, nil)
	if err != nil {
		return nil, exit.AsWrong(err)
	}
	for _, file := range set.Report.Files {
		c.note(file.String())
	}
	if p := set.Report.Packing; p != nil {
		c.note(p.String())
	}
	return set, nil
}
