package trainer

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"qlora/bindings"
	"qlora/checkpoint"
	"qlora/lora"
	"qlora/nf4"
	"qlora/nn"
	"qlora/nn/family"
	"qlora/nn/quantize"
	"qlora/option"
)

// A Base describes where a run starts: a model, how its weights are stored, and the
// adapters on it. Weights are read when a [Trainer] trains or Load is called.
type Base struct {
	Name     string                    // for the adapter's configuration and the model card
	Folder   string                    // of the tokenizer and the chat template, or the GGUF file with them; "": none
	Config   *nn.Config                // of config.json
	Weights  checkpoint.Checkpoint     // nil is enough for a plan
	Quantize *bindings.QuantizeOptions // of the linear layers, to 4 bits; nil: as the checkpoint stores them
	Lora     *lora.Config              // nil: train the base's own weights
	Adapter  string                    // folder of the adapter to start from; "": a new one

	// EmbeddingOnHost puts the embedding's table into the host's memory when the base is assembled for
	// inference; a run has [Args] for it.
	EmbeddingOnHost bool
}

// OpenBase opens the model at path, a Hugging Face folder or a GGUF file: it reads its
// configuration and maps its weights. Close unmaps them.
func OpenBase(path string) (*Base, error) {
	weights, err := checkpoint.Open(path)
	if err != nil {
		return nil, err
	}
	config, err := family.ParseConfig(weights.Config())
	if err != nil {
		weights.Close()
		return nil, fmt.Errorf("%s: %w", checkpoint.ConfigSource(path), err)
	}
	path = filepath.Clean(path)
	return &Base{Name: path, Folder: path, Config: config, Weights: weights}, nil
}

// LoadIn4Bit stores the linear layers in 4-bit NF4 with double quantization, as in the
// QLoRA paper.
func (b *Base) LoadIn4Bit() {
	b.Quantize = &bindings.QuantizeOptions{Kind: nf4.NF4, BlockSize: 64, Double: true}
}

// ApplyLora puts new adapters on the model; only they are trained. An empty
// c.BaseModel is set to the base's Name, or to its name on the Hub if the base is in the
// Hub's cache.
func (b *Base) ApplyLora(c lora.Config) {
	if c.BaseModel == "" {
		c.BaseModel = b.loadName()
	}
	b.Lora = &c
}

// ReadAdapter returns the configuration of the adapter in dir on this base: the one
// that it was trained with if the base is stored as in that training, else that of the
// plain adapter that it was saved as. Call it after LoadIn4Bit.
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

// UseAdapter starts from the adapter in dir instead of a new one, with the settings of
// ReadAdapter. If the adapter's file has the base's embedding or head, they replace
// those of Weights, and their rows are the vocabulary of Config: see [lora.Rebase]. Call
// it after LoadIn4Bit.
func (b *Base) UseAdapter(dir string) error {
	config, err := b.ReadAdapter(dir)
	if err != nil {
		return err
	}
	model, weights, err := lora.Rebase(dir, &config, b.Config, b.Weights)
	if err != nil {
		return err
	}
	b.Config, b.Weights = model, weights
	config.BaseModel = b.loadName()
	b.Lora, b.Adapter = &config, dir
	return nil
}

// Assemble lays out the model for inference on a device of the kind info. It returns
// an error if the adapter's folder lacks a tensor.
func (b *Base) Assemble(info bindings.Info) (*lora.Tuned, error) {
	t, err := b.assemble(nn.Options{EmbeddingOnHost: b.EmbeddingOnHost && info.Apart}, info)
	if err != nil || b.Lora == nil || b.Adapter == "" {
		return t, err
	}
	return t, t.Adapters.Check(b.Adapter)
}

// assemble completes options and lays out the model.
func (b *Base) assemble(options nn.Options, info bindings.Info) (*lora.Tuned, error) {
	options.Quantize = b.Quantize
	t, err := lora.Assemble(b.Config, b.Weights, options, b.Lora, info)
	if wrong := new(option.Error); err != nil && b.Lora != nil && b.Adapter != "" && !errors.As(err, &wrong) {
		err = fmt.Errorf("%s: %w", filepath.Join(b.Adapter, lora.ConfigFile), err)
	}
	return t, err
}

// Values returns where the weights of the model and the adapters are read from.
func (b *Base) Values() lora.Values { return lora.Values{Base: b.Weights, Adapter: b.Adapter} }

// Load returns the model ready for inference on dev, for micro-batches of up to
// shapes. The caller must close it.
func (b *Base) Load(dev bindings.Device, shapes nn.Shapes) (*lora.Tuned, error) {
	t, err := b.Assemble(dev.Info())
	if err != nil {
		return nil, err
	}
	t.Plan(dev, shapes)
	return t, t.Load(dev, b.Values())
}

// Notes returns messages about what the model's and the adapter's configuration set and
// what is not read of it, on a device.
func (b *Base) Notes(device bindings.Info) []string {
	var notes []string
	if b.Config.Note != "" {
		notes = append(notes, b.Config.Note)
	}
	if b.EmbeddingOnHost && !device.Apart {
		notes = append(notes, fmt.Sprintf("`embedding_on_host` has no effect: %s computes in the host's memory", device.Name))
	}
	if note := b.blockNote(device); note != "" {
		notes = append(notes, note)
	}
	if b.Lora != nil && b.Adapter != "" {
		if note := b.Lora.Note(b.Adapter); note != "" {
			notes = append(notes, note)
		}
	}
	if b.Quantize != nil && b.Quantize.Keep && b.Weights != nil && !b.keepsAny(device) {
		notes = append(notes, fmt.Sprintf("`keep_quantization` has no effect on this base: of a GGUF file's weights this device holds %s as they are", keptTypes(device)))
	}
	return notes
}

// keptTypes names GGML's types that a device holds as they are.
func keptTypes(device bindings.Info) string {
	if device.EightBit {
		return "Q8_0, Q4_0, IQ4_NL and IQ4_XS"
	}
	return "Q4_0, IQ4_NL and IQ4_XS"
}

// keepsAny reports whether a device can hold a weight in the codes that the base has.
func (b *Base) keepsAny(device bindings.Info) bool {
	return slices.ContainsFunc(b.Weights.Names(), func(name string) bool {
		t, err := b.Weights.Tensor(name)
		_, _, four := t.Keeps()
		_, eight := t.Keeps8()
		return err == nil && (four || eight && device.EightBit)
	})
}

// blockNote says how weights in blocks of GGML are used; "" without any.
func (b *Base) blockNote(device bindings.Info) string {
	if b.Weights == nil {
		return ""
	}
	types := checkpoint.BlockTypes(b.Weights)
	if len(types) == 0 {
		return ""
	}
	names := strings.Join(types, ", ")
	if b.Quantize == nil {
		return "the base's weights are dequantized from " + names
	}
	code := strings.ToUpper(b.Quantize.Kind.String())
	if !b.Quantize.Keep || !b.keepsAny(device) {
		return fmt.Sprintf("the base's weights are dequantized from %s, and its linear layers then quantized to %s", names, code)
	}
	return fmt.Sprintf("the base's weights are %s; `keep_quantization` holds linear layers in %s as they are, and the others are dequantized and quantized to %s", names, keptTypes(device), code)
}

// Close unmaps the weights. Closing a base without weights does nothing.
func (b *Base) Close() error {
	if b.Weights == nil {
		return nil
	}
	return b.Weights.Close()
}

// Method returns the run's method as on the command line: qlora, lora or full.
func (b *Base) Method() string {
	switch {
	case b.Lora == nil:
		return "full"
	case b.Quantize != nil:
		return "qlora"
	}
	return "lora"
}

// Validate returns all errors of the description, before anything is loaded. It reads
// no files.
func (b *Base) Validate() error {
	if b.Config == nil {
		return errors.New("the model has no configuration: OpenBase reads one")
	}
	if b.Lora == nil {
		var full []error
		if b.Quantize != nil {
			full = append(full, errors.New("4-bit weights cannot be trained: put adapters on them, or train the model without quantization"))
		}
		if b.Adapter != "" {
			full = append(full, option.Errorf("adapter", b.Adapter, "its configuration is missing: call UseAdapter, or set Lora to what ReadAdapter returns"))
		}
		return errors.Join(full...)
	}
	var quantized error
	if b.Quantize != nil {
		quantized = quantize.Check(b.Quantize)
		if b.Quantize.Keep && b.Lora.Init.ChangesBase() {
			quantized = errors.Join(quantized, option.Errorf("keep_quantization", true, "init_lora_weights %s changes the base, whose codes can only be kept as they are", b.Lora.Init))
		}
	}
	if b.Adapter == "" {
		return errors.Join(quantized, b.Lora.ValidateNew())
	}
	return errors.Join(quantized, b.Lora.Validate())
}
