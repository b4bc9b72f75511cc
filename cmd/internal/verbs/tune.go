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
}

type dataOptions struct {
	Model   string   `option:"model" alias:"model_name_or_path" help:"folder with config.json, *.safetensors and tokenizer.json, in 16, 32 or (bitsandbytes) 4 bits"`
	Dataset []string `option:"dataset" help:"files of records to train on: .jsonl, .json or .txt; may be given more than once"`
	Eval    []string `option:"eval_dataset" help:"files of records to evaluate"`
	Packing bool     `option:"packing" help:"fill sequences with several records; not to be had yet, and no micro-batch has padding without it"`
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
	}
}

// register gives a set the options. The hidden ones are understood only.
func (o *tuneOptions) register(set *options.Set, onlyData bool) {
	set.Add("Model and data", &o.data)
	rest := []struct {
		title  string
		target any
	}{
		{"Run", &o.run}, {"Method", &o.method}, {"4-bit base", &o.quantize}, {"Adapters", &o.adapters}, {"Machine", &o.machine},
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

// load reads the records of the files, and says what became of them.
func (o *tuneOptions) load(c *call, paths []string, tok *tokenizer.Tokenizer) (*dataset.Set, error) {
	if o.data.Packing {
		return nil, exit.Wrongf("--packing cannot be used yet; leave it out: a micro-batch has no padding without it either")
	}
	if err := existing("dataset", paths...); err != nil {
		return nil, err
	}
	set, err := dataset.Load(paths, tok, o.data.Records, nil)
	if err != nil {
		return nil, exit.AsWrong(err)
	}
	for _, file := range set.Report.Files {
		c.note(file.String())
	}
	return set, nil
}
