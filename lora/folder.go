package lora

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"qlora/bindings"
	"qlora/checkpoint"
	"qlora/internal/atomicfile"
)

// WeightsFile is the name of the file with an adapter's tensors in its folder.
const WeightsFile = "adapter_model.safetensors"

// keyPrefix is PEFT's prefix of module names.
const keyPrefix = "base_model.model."

// Load reads the adapters and the modules that are trained whole from a PEFT folder, or
// one of another program that openWeights knows.
// The file must store exactly their tensors, in their shapes, in F32, BF16 or F16.
// Load the model first: if the adapters are initialized from the base, Load subtracts
// their start from it.
func (a *Adapters) Load(dev bindings.Device, dir string) error {
	return a.withFile(dir, func(file *source) error { return a.load(dev, file) })
}

// Check returns the error that Load would return for the folder's contents. It needs
// no memory and no device.
func (a *Adapters) Check(dir string) error { return a.withFile(dir, a.check) }

func (a *Adapters) withFile(dir string, use func(*source) error) error {
	file, err := openWeights(dir)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := use(file); err != nil {
		return fmt.Errorf("%s: %w", file.path, err)
	}
	return nil
}

func (a *Adapters) check(file *source) error {
	if _, randomized := a.Config.Init.iterations(); randomized && !isPlain(file) {
		return fmt.Errorf("init_lora_weights is %q: its start is random and not stored in the file; save the adapter in PEFT with path_initial_model_for_weight_conversion", a.Config.Init)
	}
	known := map[string]bool{}
	for _, t := range a.tensors() {
		known[keyPrefix+t.name] = true
	}
	for name, present := range a.embeddingTensors() {
		known[keyPrefix+name] = present || known[keyPrefix+name]
	}
	for _, name := range file.Names() {
		if !known[name] {
			return fmt.Errorf("tensor %q belongs to no adapter that %s defines for this model", name, ConfigFile)
		}
	}
	for _, t := range a.tensors() {
		key := keyPrefix + t.name
		stored, ok := file.Tensor(key)
		if !ok {
			return fmt.Errorf("tensor %q is missing", key)
		}
		if want := t.storedShape(isPlain(file)); !slices.Equal(stored.Shape, want) {
			return fmt.Errorf("tensor %q has shape %v; this model and %s need %v", key, stored.Shape, ConfigFile, want)
		}
		if !stored.DType.IsFloat() {
			return fmt.Errorf("tensor %q has element type %s; an adapter's is F32, BF16 or F16", key, stored.DType)
		}
		if err := stored.CheckFinite(fmt.Sprintf("the adapter's tensor %q", key)); err != nil {
			return err
		}
	}
	return nil
}

// load checks everything before it writes the first value.
func (a *Adapters) load(dev bindings.Device, file *source) error {
	if err := a.check(file); err != nil {
		return err
	}
	for _, t := range a.tensors() {
		stored, _ := file.Tensor(keyPrefix + t.name)
		if err := t.restore(dev, stored, isPlain(file)); err != nil {
			return err
		}
	}
	if err := a.beginAgain(dev, isPlain(file)); err != nil {
		return err
	}
	a.derive(dev)
	return nil
}

// Save writes adapter_config.json and adapter_model.safetensors (float32) into dir in
// PEFT's format. Each file is written atomically. Adapters that are initialized from
// their base are saved as plain ones of twice the rank, relative to its original
// weights; ReadTrained and Load recover the originals.
func (a *Adapters) Save(dev bindings.Device, dir string) error {
	metadata, saved := map[string]string{"format": "pt"}, a.Config
	if a.Config.Init.ChangesBase() {
		trained, err := a.Config.Marshal()
		if err != nil {
			return err
		}
		metadata[trainedAs], saved = string(trained), a.Config.plain()
	}
	config, err := saved.Marshal()
	if err != nil {
		return err
	}
	var entries []checkpoint.Entry
	for _, t := range a.tensors() {
		entries = append(entries, checkpoint.Entry{
			Name: keyPrefix + t.name, DType: checkpoint.F32, Shape: t.storedShape(true),
			Write: func(out io.Writer) error { return t.store(dev, out) },
		})
	}
	more, err := a.embeddingEntries(dev)
	if err != nil {
		return err
	}
	entries = append(entries, more...)
	if err := checkpoint.WriteFile(filepath.Join(dir, WeightsFile), entries, metadata); err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(dir, ConfigFile), config, 0o644)
}
