package verbs

import (
	"path/filepath"

	"qlora/bindings"
	"qlora/cmd/internal/exit"
	"qlora/lora"
	"qlora/nn"
	"qlora/nn/quantize"
	"qlora/tokenizer"
	"qlora/trainer"
	"qlora/trainer/dataset"
)

// inferOptions are what generate and eval run a model by.
type inferOptions struct {
	Model   string `option:"model" alias:"model_name_or_path" help:"folder with config.json, *.safetensors and tokenizer.json"`
	Adapter string `option:"adapter" help:"folder of a PEFT adapter to put on it"`
	In4Bit  *bool  `option:"load_in_4bit" help:"hold the base in 4 bits; without it as the adapter was trained, and true without an adapter"`
}

// inference is a model that is ready to run.
type inference struct {
	folder string // of the base
	base   *trainer.Base
	tok    *tokenizer.Tokenizer
	dev    bindings.Device
	*lora.Tuned
	progress func(done, total int64) // of adapters that begin with a part of the base
	begun    func()                  // ends its line
}

// open reads the folders. Memory is planned and taken by load.
func (o *inferOptions) open(c *call, m machine, q quantize.Options) (_ *inference, err error) {
	r := &inference{folder: o.Model}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if r.base, err = openModel(o.Model, false); err != nil {
		return nil, err
	}
	name := methodQLoRA
	if o.Adapter != "" {
		if err := existing("adapter", o.Adapter); err != nil {
			return nil, err
		}
		// Options from the adapter's run.yaml apply unless overridden here.
		trained := methodOptions{Method: methodQLoRA}
		if err := c.set.Inherit(filepath.Join(o.Adapter, "run.yaml"), &q, &trained); err != nil {
			return nil, exit.AsWrong(err)
		}
		name = trained.Method
	}
	if o.In4Bit != nil {
		name = map[bool]string{true: methodQLoRA, false: methodLoRA}[*o.In4Bit]
	}
	held, err := q.Device()
	if err != nil {
		return nil, exit.AsWrong(err)
	}
	if name == methodQLoRA {
		r.base.Quantize = held
	}
	if r.tok, err = openTokenizer(o.Model); err != nil {
		return nil, err
	}
	if r.dev, err = m.open(); err != nil {
		return nil, err
	}
	if o.Adapter != "" {
		if err := r.base.UseAdapter(o.Adapter); err != nil {
			return nil, exit.AsWrong(err)
		}
	}
	if r.Tuned, err = r.base.Assemble(r.dev.Info()); err != nil {
		return nil, exit.AsWrong(err)
	}
	r.progress, r.begun = c.progress("initializing adapters", false)
	return r, nil
}

// load plans for the shapes, takes the memory and reads the weights.
func (r *inference) load(shapes nn.Shapes) error {
	r.Plan(r.dev, shapes)
	values := r.base.Values()
	values.Initialized = r.progress
	defer r.begun()
	return r.Load(r.dev, values)
}

// plan loads for sequences of so many tokens that are extended.
func (r *inference) plan(longest int) error { return r.load(nn.Shapes{Generate: longest}) }

// known refuses tokens that the model has no entry for.
func (r *inference) known(ids []int32) error {
	if err := dataset.CheckIDs(ids, r.base.Config.Vocabulary); err != nil {
		return exit.Wrongf("--prompt: %w", err)
	}
	return nil
}

// close gives back what is there: the memory, the device, the base.
func (r *inference) close() {
	if r.Tuned != nil {
		r.Close()
	}
	closeDevice(r.dev)
	if r.base != nil {
		r.base.Close()
	}
}
