package lora

import (
	"fmt"
	"path/filepath"

	"qlora/bindings"
	"qlora/nn"
)

// overlay is a set of adapters next to others on one base.
type overlay struct {
	adapters *Adapters
	dir      string
	on       *nn.Overlay
}

// Overlay puts the adapter in dir on the model next to others and returns what selects it
// in an nn.Decoder. The model must have been assembled without adapters. Call it before
// Plan; Load fills the adapter. An adapter that has weights of the base in place of its own,
// or that changes the base, is an error: it has to be merged first.
func (t *Tuned) Overlay(dir string) (*nn.Overlay, error) { return t.overlay(dir, bindings.Adapters) }

func (t *Tuned) overlay(dir string, c bindings.Category) (*nn.Overlay, error) {
	config, err := ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	if err := config.checkOverlay(t.Model, dir); err != nil {
		return nil, err
	}
	a, err := attach(t.Model, t.Memory.Arena(c), config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, ConfigFile), err)
	}
	o := overlay{adapters: a, dir: dir, on: t.Model.TakeOff()}
	t.overlays = append(t.overlays, o)
	return o.on, a.Check(dir)
}

// Reference puts the adapter in dir on the model as what it was before training: a frozen
// copy next to the model's own adapters. Call it before Plan.
func (t *Tuned) Reference(dir string) (*nn.Overlay, error) {
	own := t.Model.PutOn(t.Model.Bare())
	defer t.Model.PutOn(own)
	return t.overlay(dir, bindings.Reference)
}

// Frozen puts a copy of the model's new adapters, of the configuration c, next to them:
// what they are initialized as. With adapters that are initialized from the base, the copy
// shares what they leave of it. Call it before Plan; Load fills the copy.
func (t *Tuned) Frozen(c Config) (*nn.Overlay, error) {
	if c.Init.ChangesBase() {
		c.Init = InitDefault // to subtract nothing more
	}
	own := t.Model.PutOn(t.Model.Bare())
	defer t.Model.PutOn(own)
	a, err := attach(t.Model, t.Memory.Arena(bindings.Reference), c)
	if err != nil {
		return nil, err
	}
	t.frozen = &overlay{adapters: a, on: t.Model.TakeOff()}
	return t.frozen.on, nil
}

// freeze fills the copy of the adapters as they were initialized.
func (t *Tuned) freeze(dev bindings.Device, seed uint64) error {
	if t.frozen == nil {
		return nil
	}
	a := t.frozen.adapters
	defer t.Model.PutOn(t.Model.PutOn(t.frozen.on))
	if !t.Adapters.ChangesBase() {
		return a.Init(dev, seed)
	}
	for i := range a.factors {
		dev.Run(&bindings.Copy{Dst: a.factors[i].value, Src: t.Adapters.factors[i].start})
	}
	a.derive(dev)
	return nil
}

// checkOverlay returns an error if the adapter in dir cannot share its base with others.
func (c *Config) checkOverlay(m *nn.Model, dir string) error {
	what := ""
	rebased := *c
	model, _, err := Rebase(dir, &rebased, m.Config, m.Base())
	switch {
	case err != nil:
		return err
	case len(c.ModulesToSave) > 0:
		what = fmt.Sprintf("modules that are trained whole (modules_to_save %q)", c.ModulesToSave)
	case c.Bias != "":
		what = fmt.Sprintf("biases of the base (bias %q)", c.Bias)
	case !c.Tokens.Empty():
		what = "trained tokens (trainable_token_indices)"
	case model != m.Config || rebased.SaveEmbeddings:
		what = "an embedding or a head of its own"
	case c.Init.ChangesBase():
		what = fmt.Sprintf("a start that is taken from the base (init_lora_weights %q)", c.Init)
	default:
		return nil
	}
	return fmt.Errorf("the adapter %s has %s, so it cannot share a base with others: merge it with `qlora merge`, and use the merged folder as the model", dir, what)
}

// loadOverlays fills the sets of adapters that share the base.
func (t *Tuned) loadOverlays(dev bindings.Device) error {
	for _, o := range t.overlays {
		before := t.Model.PutOn(o.on)
		err := o.adapters.Load(dev, o.dir)
		t.Model.PutOn(before)
		if err != nil {
			return err
		}
	}
	return nil
}
