package lora

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"qlora/bindings"
	"qlora/checkpoint"
	"qlora/internal/atomicfile"
)

// WeightsFile is the name of an adapter's tensors in its folder.
const WeightsFile = "adapter_model.safetensors"

// keyPrefix is what PEFT puts before a module's name.
const keyPrefix = "base_model.model."

// Load fills every adapter, and the modules that are trained themselves, from a
// PEFT folder. The file must hold exactly their tensors, in their shapes, in F32,
// BF16 or F16. It comes after the model's Load: what adapters were initialized
// with is subtracted from the base.
func (a *Adapters) Load(dev bindings.Device, dir string) error {
	return a.withFile(dir, func(file *checkpoint.File) error { return a.load(dev, file) })
}

// Check returns the error that Load would return for what the folder holds. It needs
// no memory and no device.
func (a *Adapters) Check(dir string) error { return a.withFile(dir, a.check) }

func (a *Adapters) withFile(dir string, use func(*checkpoint.File) error) error {
	file, err := openWeights(dir)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := use(file); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, WeightsFile), err)
	}
	return nil
}

// openWeights maps the tensors of a folder.
func openWeights(dir string) (*checkpoint.File, error) {
	file, err := checkpoint.OpenFile(filepath.Join(dir, WeightsFile))
	if errors.Is(err, fs.ErrNotExist) {
		if _, other := os.Stat(filepath.Join(dir, "adapter_model.bin")); other == nil {
			return nil, fmt.Errorf("%s holds adapter_model.bin, a pickle file, which can run any program and is not read; save the adapter with safetensors", dir)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the adapter's tensors: %w", err)
	}
	return file, nil
}

func (a *Adapters) check(file *checkpoint.File) error {
	if _, randomized := a.Config.Init.iterations(); randomized && !isPlain(file) {
		return fmt.Errorf("init_lora_weights is %q: what was taken out of the base was drawn at random, and the file does not have it; have PEFT save it with path_initial_model_for_weight_conversion", a.Config.Init)
	}
	known := map[string]bool{}
	for _, t := range a.tensors() {
		known[keyPrefix+t.name] = true
	}
	for _, name := range file.Names() {
		if !known[name] {
			return fmt.Errorf("tensor %q belongs to none of the adapters that %s asks for on this model", name, ConfigFile)
		}
	}
	for _, t := range a.tensors() {
		key := keyPrefix + t.name
		stored, ok := file.Tensor(key)
		if !ok {
			return fmt.Errorf("tensor %q is missing", key)
		}
		if want := t.storedShape(isPlain(file)); !slices.Equal(stored.Shape, want) {
			return fmt.Errorf("tensor %q has shape %v; this model and %s ask for %v", key, stored.Shape, ConfigFile, want)
		}
		if !stored.DType.IsFloat() {
			return fmt.Errorf("tensor %q has element type %s; an adapter's is F32, BF16 or F16", key, stored.DType)
		}
	}
	return nil
}

// load checks all before it writes the first value.
func (a *Adapters) load(dev bindings.Device, file *checkpoint.File) error {
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
	for _, m := range a.magnitudes {
		m.of.Derive(dev)
	}
	return nil
}

// Save writes adapter_config.json and adapter_model.safetensors (float32) into
// dir as PEFT does. Each file appears whole or not at all. Adapters that were
// initialized from their base become plain ones of twice the rank, which are
// relative to its original weights; ReadTrained and Load know what they were.
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
	if err := checkpoint.WriteFile(filepath.Join(dir, WeightsFile), entries, metadata); err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(dir, ConfigFile), config, 0o644)
}
