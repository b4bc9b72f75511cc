package verbs

import (
	"qlora/cmd/internal/options"
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
	Eval    []string `option:"eval_dataset" help:"files of records to evaluate, as for dataset"`
	Packing bool     `option:"packing" help:"fill sequences of max_length tokens with whole records, which do not see each other; eval_dataset is not packed"`
	Cache   bool     `option:"dataset_cache" help:"keep the token ids of the records in output_dir, and take them from there when the same run is started again"`
	Records dataset.Options
}

type methodOptions struct {
	Method string `option:"method" help:"qlora: adapters on a 4-bit base; lora: on the base as stored; full: the weights themselves"`
}

func newTuneOptions() *tuneOptions {
	return &tuneOptions{
		data:     dataOptions{Cache: true, Records: dataset.DefaultOptions()},
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
func (o *tuneOptions) model(planning bool) (*trainer.Base, error) {
	m, err := openModel(o.data.Model, planning)
	if err != nil {
		return nil, err
	}
	return m, method(m, o.method.Method, o.quantize, o.adapters)
}
