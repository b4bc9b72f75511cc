package trainer

import (
	"errors"
	"fmt"
	"path/filepath"

	"qlora/bindings"
	"qlora/checkpoint"
	"qlora/lora"
	"qlora/nf4"
	"qlora/nn"
	"qlora/nn/family"
	"qlora/nn/quantize"
	"qlora/option"
)

// A Model is what a run trains: a base, how it is held, and the adapters on it.
// It is a description; weights are read when a [Trainer] trains.
type Base struct {
	Name     string                // of the base, for the adapter's configuration and the model card
	Config   *nn.Config            //
	Weights  checkpoint.Checkpoint // the weights; nil is enough for a plan
	Quantize *bindings.QuantizeOptions
	Lora     *lora.Config // nil: the base's own weights are trained
	Adapter  string       // folder of the adapter to start from; "": a new one
}

// OpenBase reads the config.json of a Hugging Face folder and maps its weights.
func OpenBase(dir string) (*Base, error) {
	config, err := family.ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	base, err := checkpoint.Open(dir)
	if err != nil {
		return nil, err
	}
	return &Base{Name: filepath.Clean(dir), Config: config, Weights: base}, nil
}

// LoadIn4Bit makes the linear layers be held in 4-bit NF4 with double
// quantization, as the QLoRA paper does.
func (b *Base) LoadIn4Bit() {
	b.Quantize = &bindings.QuantizeOptions{Kind: nf4.NF4, BlockSize: 64, Double: true}
}

// ApplyLora puts adapters on the model; only they are trained.
func (b *Base) ApplyLora(c lora.Config) { b.Lora = &c }

// ReadAdapter is the configuration of the adapter in dir on this base: the one
// that it was trained with where the base is held as it was then, else that of
// the plain adapter that it was saved as. It comes after the base's setting up.
func (b *Base) ReadAdapter(dir string) (lora.Config, error) {
	trained, err := lora.ReadTrained(dir)
	if err != nil || !trained.Init.ChangesBase() {
		return trained, err
	}
	original := b.Config.Quantization == nil
	if original && (trained.Init != lora.InitLoftQ || b.Quantize != nil) {
		return trained, nil
	}
	return lora.ReadConfig(dir)
}

// UseAdapter starts from the adapter in dir instead of a new one; its own settings
// hold, as ReadAdapter has them. It comes after the base's setting up.
func (b *Base) UseAdapter(dir string) error {
	config, err := b.ReadAdapter(dir)
	if err != nil {
		return err
	}
	b.Lora, b.Adapter = &config, dir
	return nil
}

// Assemble lays the model out to be run, not trained, on a device of that kind. What
// the adapter's folder lacks is found here.
func (b *Base) Assemble(info bindings.Info) (*lora.Tuned, error) {
	t, err := b.assemble(nn.Options{}, info)
	if err != nil || b.Lora == nil || b.Adapter == "" {
		return t, err
	}
	return t, t.Adapters.Check(b.Adapter)
}

// assemble lays the model out by options, which it completes.
func (b *Base) assemble(options nn.Options, info bindings.Info) (*lora.Tuned, error) {
	options.Quantize = b.Quantize
	t, err := lora.Assemble(b.Config, b.Weights, options, b.Lora, info)
	if err != nil && b.Lora != nil && b.Adapter != "" {
		err = fmt.Errorf("%s: %w", filepath.Join(b.Adapter, lora.ConfigFile), err)
	}
	return t, err
}

// Values are where the model's values come from.
func (b *Base) Values() lora.Values { return lora.Values{Base: b.Weights, Adapter: b.Adapter} }

// Load returns the model ready to run on dev, for micro-batches of up to shapes.
// Closing it is the caller's.
func (b *Base) Load(dev bindings.Device, shapes nn.Shapes) (*lora.Tuned, error) {
	t, err := b.Assemble(dev.Info())
	if err != nil {
		return nil, err
	}
	t.Plan(dev, shapes)
	return t, t.Load(dev, b.Values())
}

// Close unmaps the weights.
func (b *Base) Close() error {
	if b.Weights == nil {
		return nil
	}
	return b.Weights.Close()
}

// Method is the run's kind as the command line calls it: qlora, lora or full.
func (b *Base) Method() string {
	switch {
	case b.Lora == nil:
		return "full"
	case b.Quantize != nil:
		return "qlora"
	}
	return "lora"
}

// Validate refuses a model that cannot be trained as it is described, before anything
// is loaded. It reads no files.
func (b *Base) Validate() error {
	if b.Config == nil {
		return errors.New("the model has no configuration: OpenBase reads one")
	}
	if b.Lora == nil {
		switch {
		case b.Quantize != nil:
			return errors.New("4-bit weights cannot be trained themselves: put adapters on them, or train the model without quantization")
		case b.Adapter != "":
			return option.Errorf("adapter", b.Adapter, "the run trains the weights themselves: give its configuration, too, which ReadAdapter reads")
		}
		return nil
	}
	if b.Quantize != nil {
		if err := quantize.Check(b.Quantize); err != nil {
			return err
		}
	}
	if b.Adapter == "" {
		return b.Lora.ValidateNew()
	}
	return b.Lora.Validate()
}
