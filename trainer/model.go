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
type Model struct {
	Name     string                // of the base, for the adapter's configuration and the model card
	Config   *nn.Config            //
	Base     checkpoint.Checkpoint // the weights; nil is enough for a plan
	Quantize *bindings.QuantizeOptions
	Lora     *lora.Config // nil: the base's own weights are trained
	Adapter  string       // folder of the adapter to start from; "": a new one
}

// OpenModel reads the config.json of a Hugging Face folder and maps its weights.
func OpenModel(dir string) (*Model, error) {
	config, err := family.ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	base, err := checkpoint.Open(dir)
	if err != nil {
		return nil, err
	}
	return &Model{Name: filepath.Clean(dir), Config: config, Base: base}, nil
}

// LoadIn4Bit makes the linear layers be held in 4-bit NF4 with double
// quantization, as the QLoRA paper does.
func (m *Model) LoadIn4Bit() {
	m.Quantize = &bindings.QuantizeOptions{Kind: nf4.NF4, BlockSize: 64, Double: true}
}

// ApplyLora puts adapters on the model; only they are trained.
func (m *Model) ApplyLora(c lora.Config) { m.Lora = &c }

// ReadAdapter is the configuration of the adapter in dir on this base: the one
// that it was trained with where the base is held as it was then, else that of
// the plain adapter that it was saved as. It comes after the base's setting up.
func (m *Model) ReadAdapter(dir string) (lora.Config, error) {
	trained, err := lora.ReadTrained(dir)
	if err != nil || !trained.Init.ChangesBase() {
		return trained, err
	}
	original := m.Config.Quantization == nil
	if original && (trained.Init != lora.InitLoftQ || m.Quantize != nil) {
		return trained, nil
	}
	return lora.ReadConfig(dir)
}

// UseAdapter starts from the adapter in dir instead of a new one; its own settings
// hold, as ReadAdapter has them. It comes after the base's setting up.
func (m *Model) UseAdapter(dir string) error {
	config, err := m.ReadAdapter(dir)
	if err != nil {
		return err
	}
	m.Lora, m.Adapter = &config, dir
	return nil
}

// Assemble lays the model out to be run, not trained, on a device of that kind. What
// the adapter's folder lacks is found here.
func (m *Model) Assemble(info bindings.Info) (*lora.Tuned, error) {
	t, err := m.assemble(nn.Options{}, info)
	if err != nil || m.Lora == nil || m.Adapter == "" {
		return t, err
	}
	return t, t.Adapters.Check(m.Adapter)
}

// assemble lays the model out by options, which it completes.
func (m *Model) assemble(options nn.Options, info bindings.Info) (*lora.Tuned, error) {
	options.Quantize = m.Quantize
	t, err := lora.Assemble(m.Config, m.Base, options, m.Lora, info)
	if err != nil && m.Lora != nil && m.Adapter != "" {
		err = fmt.Errorf("%s: %w", filepath.Join(m.Adapter, lora.ConfigFile), err)
	}
	return t, err
}

// Values are where the model's values come from.
func (m *Model) Values() lora.Values { return lora.Values{Base: m.Base, Adapter: m.Adapter} }

// Load returns the model ready to run on dev, for micro-batches of up to shapes.
// Closing it is the caller's.
func (m *Model) Load(dev bindings.Device, shapes nn.Shapes) (*lora.Tuned, error) {
	t, err := m.Assemble(dev.Info())
	if err != nil {
		return nil, err
	}
	t.Plan(dev, shapes)
	return t, t.Load(dev, m.Values())
}

// Close unmaps the weights.
func (m *Model) Close() error {
	if m.Base == nil {
		return nil
	}
	return m.Base.Close()
}

// Method is the run's kind as the command line calls it: qlora, lora or full.
func (m *Model) Method() string {
	switch {
	case m.Lora == nil:
		return "full"
	case m.Quantize != nil:
		return "qlora"
	}
	return "lora"
}

// Validate refuses a model that cannot be trained as it is described, before anything
// is loaded. It reads no files.
func (m *Model) Validate() error {
	if m.Config == nil {
		return errors.New("the model has no configuration: OpenModel reads one")
	}
	if m.Lora == nil {
		switch {
		case m.Quantize != nil:
			return errors.New("4-bit weights cannot be trained themselves: put adapters on them, or train the model without quantization")
		case m.Adapter != "":
			return option.Errorf("adapter", m.Adapter, "the run trains the weights themselves: give its configuration, too, which ReadAdapter reads")
		}
		return nil
	}
	if m.Quantize != nil {
		if err := quantize.Check(m.Quantize); err != nil {
			return err
		}
	}
	if m.Adapter == "" {
		return m.Lora.ValidateNew()
	}
	return m.Lora.Validate()
}
