package verbs

import (
	"path/filepath"
	"slices"

	"qlora/bindings"
	"qlora/cmd/internal/exit"
	"qlora/lora"
	"qlora/nn"
	"qlora/nn/quantize"
	"qlora/tokenizer"
	"qlora/trainer"
)

// inferOptions are what generate and eval run a model by.
type inferOptions struct {
	Model   string `option:"model" alias:"model_name_or_path" help:"folder with config.json, *.safetensors and tokenizer.json"`
	Adapter string `option:"adapter" help:"folder of a PEFT adapter to put on it"`
	In4Bit  *bool  `option:"load_in_4bit" help:"hold the base in 4 bits; without it as the adapter was trained, and true without an adapter"`
}

// inference is a model that is ready to run.
type inference struct {
	folder  string // of the base
	base    *trainer.Model
	tok     *tokenizer.Tokenizer
	dev     bindings.Device
	memory  *bindings.Memory
	model   *nn.Model
	adapter *lora.Adapters // nil without one
	begun   func()         // ends the line that tells how far the adapters are
}

// open reads the folders. Memory is planned and taken by load.
func (o *inferOptions) open(c *call, m machine, q quantize.Options) (*inference, error) {
	base, err := openModel(o.Model, false)
	if err != nil {
		return nil, err
	}
	name := methodQLoRA
	if o.Adapter != "" {
		if err := existing("adapter", o.Adapter); err != nil {
			return nil, err
		}
		// What the adapter's run was given holds here too, but for what is given now.
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
		base.Quantize = held
	}
	r := &inference{folder: o.Model, base: base, memory: bindings.NewMemory()}
	if r.tok, err = openTokenizer(o.Model); err != nil {
		return nil, err
	}
	if r.dev, err = m.open(); err != nil {
		return nil, err
	}
	var config lora.Config
	if o.Adapter != "" {
		if config, err = base.ReadAdapter(o.Adapter); err != nil {
			return nil, exit.AsWrong(err)
		}
	}
	options := nn.Options{Quantize: base.Quantize, Modules: config.Modules()}
	if r.model, err = nn.New(base.Config, base.Base, options, r.memory, r.dev.Info()); err != nil {
		return nil, exit.AsWrong(err)
	}
	if o.Adapter == "" {
		return r, nil
	}
	if r.adapter, err = lora.Attach(r.model, r.memory, config); err != nil {
		return nil, exit.Wrongf("%s: %w", filepath.Join(o.Adapter, lora.ConfigFile), err)
	}
	r.adapter.Progress, r.begun = c.progress("beginning adapters", false)
	return r, exit.AsWrong(r.adapter.Check(o.Adapter))
}

// load plans for the shapes, takes the memory and reads the weights.
func (r *inference) load(shapes nn.Shapes, adapter string) error {
	r.model.Prepare(r.dev, shapes)
	if err := r.memory.Commit(r.dev); err != nil {
		return err
	}
	if err := r.model.Load(r.dev, r.base.Base, nil); err != nil {
		return err
	}
	if r.adapter == nil {
		return nil
	}
	defer r.begun()
	return exit.AsWrong(r.adapter.Load(r.dev, adapter))
}

// plan loads for sequences of so many tokens that are extended.
func (r *inference) plan(longest int, adapter string) error {
	return r.load(nn.Shapes{Generate: longest}, adapter)
}

// stop are the tokens by which the model ends a text.
func (r *inference) stop() []int32 {
	stop := slices.Clone(r.base.Config.EOS)
	if id, ok := r.tok.EOS(); ok {
		stop = append(stop, id)
	}
	return stop
}

// known refuses tokens that the model has no entry for.
func (r *inference) known(ids []int32) error {
	for _, id := range ids {
		if size := r.base.Config.Vocabulary; int(id) >= size {
			return exit.Wrongf("the tokenizer gives the prompt token %d, but the model's vocabulary has %d entries; use the model's own tokenizer", id, size)
		}
	}
	return nil
}

func (r *inference) close() {
	r.memory.Close()
	r.base.Close()
}
