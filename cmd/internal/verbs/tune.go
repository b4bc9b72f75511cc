package verbs

import (
	"qlora/cmd/internal/exit"
	"qlora/cmd/internal/foreign"
	"qlora/cmd/internal/options"
	"qlora/cmd/internal/recipe"
	"qlora/hub"
	"qlora/internal/launch"
	"qlora/lora"
	"qlora/nn/quantize"
	"qlora/trainer"
	"qlora/trainer/dataset"
)

// tuneOptions are the options of train and plan. preview uses those of the data.
type tuneOptions struct {
	data     dataOptions
	hub      hubOptions
	machine  machine
	sharing  sharing
	run      trainer.Args
	method   methodOptions
	quantize quantize.Options
	adapters lora.Options
	watch    watchOptions
	publish  publishOptions

	fresh []int32 // ids of added tokens that the tokenizer did not have
}

type dataOptions struct {
	Model    string   `option:"model" path:"true" hub:"model" alias:"model_name_or_path" help:"folder, or ORG/NAME on the Hugging Face Hub, with config.json, *.safetensors and a tokenizer; weights in 16, 32 or (bitsandbytes) 4 bits; or a GGUF file"`
	Dataset  []string `option:"dataset" path:"true" help:"training records: files, folders, quoted patterns or ORG/NAME[:CONFIGURATION/SPLIT] on the Hugging Face Hub; .jsonl, .json, .csv, .tsv, .parquet or .txt, all but .parquet also as .gz; repeatable"`
	Dir      string   `option:"dataset_dir" path:"true" help:"folder with LLaMA-Factory's dataset_info.json; dataset and eval_dataset may then name datasets of that file"`
	Weights  []string `option:"dataset_weights" help:"how often each dataset is used per epoch: 2,0.5 uses the first twice and half of the second, chosen once by data_seed; default: each once"`
	Eval     []string `option:"eval_dataset" path:"true" help:"evaluation records, as for dataset"`
	ValSize  float64  `option:"val_size" help:"hold out this many of the training records for evaluation or, below 1, this share of them; chosen by seed; not with eval_dataset"`
	MaxTrain int      `option:"max_train_samples" unit:"records" help:"train on the first records only; 0: all"`
	MaxEval  int      `option:"max_eval_samples" unit:"records" help:"evaluate the first records only; 0: all"`
	Packing  bool     `option:"packing" help:"pack whole records into sequences of max_length tokens; attention does not cross records; eval_dataset is not packed"`
	Cache    bool     `option:"dataset_cache" help:"cache token ids in output_dir and reuse them when the same run starts again"`
	Records  dataset.Options

	Vocabulary vocabularyOptions
}

type methodOptions struct {
	Method string `option:"method" values:"qlora,lora,full" help:"qlora: adapters on a 4-bit base; lora: adapters on the base as stored; full: all weights"`
	Keep   bool   `option:"keep_quantization" help:"with method qlora: hold the weights of a GGUF file that are Q4_0, IQ4_NL, IQ4_XS or, on the CPU, Q8_0 as they are, instead of quantizing them again"`
}

func newTuneOptions() *tuneOptions {
	return &tuneOptions{
		data:     dataOptions{Cache: true, Records: dataset.DefaultOptions()},
		machine:  defaultMachine(),
		sharing:  sharing{Distributed: string(launch.Auto)},
		run:      trainer.DefaultArgs(),
		method:   methodOptions{Method: methodQLoRA},
		quantize: quantize.DefaultOptions(),
		adapters: lora.DefaultOptions(),
		watch:    watchOptions{Tokens: 48},
	}
}

// register adds the options to set. With onlyData, all others are accepted and ignored.
func (o *tuneOptions) register(set *options.Set, onlyData bool) {
	set.Add("Model and data", &o.data)
	set.Add("Hugging Face Hub", &o.hub)
	rest := []struct {
		title  string
		target any
	}{
		{"Run", &o.run}, {"Method", &o.method}, {"4-bit base", &o.quantize}, {"Adapters", &o.adapters}, {"Watching", &o.watch}, {"Publishing", &o.publish}, {"Machine", &o.machine}, {"Several devices", &o.sharing},
	}
	for _, r := range rest {
		if onlyData {
			set.AddHidden(r.target)
		} else {
			set.Add(r.title, r.target)
		}
	}
	set.Adopt(foreign.Settings())
	set.Recipes = recipe.Read
}

// describe replaces the names of datasets in dataset_dir by what is said of them there, and
// those on the Hub by their folders, which it fetches.
func (o *tuneOptions) describe(c *call) error {
	for _, d := range []struct {
		option string
		names  *[]string
	}{{"dataset", &o.data.Dataset}, {"eval_dataset", &o.data.Eval}} {
		names, err := dataset.Described(o.data.Dir, *d.names)
		if err != nil {
			return exit.AsWrong(err)
		}
		if *d.names, err = o.hub.datasets(c, d.option, names); err != nil {
			return err
		}
	}
	return nil
}

// objective sets what other objectives than sft have other defaults of.
func (o *tuneOptions) objective(c *call) {
	o.sampling(c)
	how, _ := o.run.Compare()
	if how == "" {
		return
	}
	if !c.set.Given("learning_rate") {
		o.run.LearningRate = 1e-5
		if o.method.Method == methodFull {
			o.run.LearningRate = 1e-6
		}
	}
	if how == dataset.CompareJudged && !c.set.Given("train_sampling_strategy") {
		o.run.SamplingStrategy = trainer.OrderSequential
	}
}

// model opens the base and configures it for the method.
func (o *tuneOptions) model(c *call, planning bool) (*trainer.Base, error) {
	how := (*hub.Client).FetchModel
	if planning {
		how = (*hub.Client).FetchDescription
	}
	if err := o.hub.models(c, how); err != nil {
		return nil, err
	}
	m, err := openModel(o.data.Model, planning)
	if err != nil {
		return nil, err
	}
	return m, method(m, o.method, o.quantize, o.adapters)
}
