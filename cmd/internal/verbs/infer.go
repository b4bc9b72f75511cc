package verbs

import (
	"os"
	"path/filepath"
	"runtime/debug"

	"qlora/bindings"
	"qlora/cmd/internal/exit"
	"qlora/hub"
	"qlora/lora"
	"qlora/nn"
	"qlora/nn/quantize"
	"qlora/tokenizer"
	"qlora/trainer"
)

// inferOptions are the options of the model in generate and eval.
type inferOptions struct {
	Model   string `option:"model" path:"true" hub:"model" alias:"model_name_or_path" help:"folder, or ORG/NAME on the Hugging Face Hub, with config.json, *.safetensors and a tokenizer; or a GGUF file"`
	Adapter string `option:"adapter" path:"true" hub:"adapter" help:"folder of a PEFT adapter to apply, or ORG/NAME on the Hub"`
	In4Bit  *bool  `option:"load_in_4bit" help:"quantize the base to 4 bits; default: as the adapter was trained; true without an adapter"`
	Keep    *bool  `option:"keep_quantization" help:"hold the Q4_0, IQ4_NL, IQ4_XS and (CPU) Q8_0 weights of a GGUF file as they are; default: as the adapter was trained; false without an adapter"`
	Placed  placedOptions
	Hub     hubOptions
}

// inference is an open model.
type inference struct {
	folder string // of the base
	base   *trainer.Base
	tok    *tokenizer.Tokenizer
	dev    bindings.Device
	*lora.Tuned
	progress func(done, total int64) // of initializing PiSSA, OLoRA and LoftQ adapters
	begun    func()                  // ends its line
}

// open reads the folders. load plans and allocates the memory.
func (o *inferOptions) open(c *call, m machine, q quantize.Options) (_ *inference, err error) {
	if err := o.Hub.models(c, (*hub.Client).FetchModel); err != nil {
		return nil, err
	}
	r := &inference{folder: o.Model}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if r.base, err = openModel(o.Model, false); err != nil {
		return nil, err
	}
	r.base.EmbeddingOnHost = o.Placed.Embedding
	trained := methodOptions{Method: methodQLoRA}
	if o.Adapter != "" {
		if _, err := lora.ReadConfig(o.Adapter); err != nil { // what is no adapter has no run.yaml either
			return nil, exit.AsWrong(err)
		}
		// Options from the adapter's run.yaml apply unless overridden here.
		if err := c.set.Inherit(filepath.Join(o.Adapter, "run.yaml"), &q, &trained); err != nil {
			return nil, exit.AsWrong(err)
		}
	}
	if o.In4Bit != nil {
		trained.Method = map[bool]string{true: methodQLoRA, false: methodLoRA}[*o.In4Bit]
	}
	if o.Keep != nil {
		trained.Keep = *o.Keep
	}
	quantized, err := q.Device()
	if err != nil {
		return nil, exit.AsWrong(err)
	}
	if trained.Method == methodQLoRA {
		quantized.Keep = trained.Keep
		r.base.Quantize = quantized
	}
	if r.tok, err = openTokenizer(o.Model, o.Adapter); err != nil {
		return nil, err
	}
	if r.dev, err = c.device(m, computeOf(q, "")); err != nil {
		return nil, err
	}
	c.noteCompute(q, r.dev.Info())
	if o.Adapter != "" {
		if err := r.base.UseAdapter(o.Adapter); err != nil {
			return nil, exit.AsWrong(err)
		}
	}
	c.noteOf(r.base, r.dev.Info())
	if r.Tuned, err = r.base.Assemble(r.dev.Info()); err != nil {
		return nil, exit.AsWrong(err)
	}
	for _, note := range r.Model.Notes() {
		c.note(note)
	}
	r.progress, r.begun = c.progress("initializing adapters", false)
	return r, nil
}

// load plans the memory for the shapes, allocates it and reads the weights.
func (r *inference) load(shapes nn.Shapes) error {
	if err := r.Model.CheckShapes(shapes); err != nil {
		return exit.AsWrong(err)
	}
	r.Plan(r.dev, shapes)
	values := r.base.Values()
	values.Initialized = r.progress
	defer r.begun()
	collectLate()
	return r.Load(r.dev, values)
}

// collectLate lets garbage grow to twice what is in use. On a CPU the collector takes a thread
// from the products: SmolLM2-135M generates 8 % faster than at Go's 100 %, in 0.01 GiB more. A
// user's GOGC stands.
func collectLate() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200)
	}
}

// plan loads the model for generating sequences of up to longest tokens.
func (r *inference) plan(longest int) error { return r.load(nn.Shapes{Generate: longest}) }

// known returns an error if an id is outside the model's vocabulary.
func (r *inference) known(ids []int32) error {
	if err := nn.CheckIDs(ids, r.base.Config.Vocabulary); err != nil {
		return exit.Wrongf("--prompt: %w", err)
	}
	return nil
}

// close frees the memory and closes the device and the base.
func (r *inference) close() {
	if r.Tuned != nil {
		r.Close()
	}
	closeDevice(r.dev)
	if r.base != nil {
		r.base.Close()
	}
}
