package lora

import (
	"qlora/bindings"
	"qlora/checkpoint"
	"qlora/nn"
)

// A Tuned is a model, with or without adapters, and the memory of both. It is
// assembled in this order:
//
//	Assemble    lays out the weights and puts the adapters on them
//	Parameters  lays out the trained parameters, for training runs
//	Plan        finds what the largest micro-batches need
//	Load        allocates the memory and fills it
//	Close       frees the memory
//
// Nothing is allocated on a device, and no weight is read, before Load.
type Tuned struct {
	Model    *nn.Model
	Adapters *Adapters // nil: the base alone
	Memory   *bindings.Memory

	params   []bindings.Param
	overlays []overlay
	frozen   *overlay // the adapters as they were initialized; nil: none
}

// Assemble lays out a model for a device of the kind info, with the adapters of
// config; nil: none. base decides the tensor types and may be nil for a plan. Assemble
// sets options.Modules from config. The error is about the model or the configuration.
func Assemble(model *nn.Config, base checkpoint.Checkpoint, options nn.Options, config *Config, info bindings.Info) (*Tuned, error) {
	if config != nil {
		if err := config.Validate(); err != nil {
			return nil, err
		}
		var err error
		if options.Modules, err = config.modulesOf(model, base); err != nil {
			return nil, err
		}
	}
	t := &Tuned{Memory: bindings.NewMemory()}
	var err error
	if t.Model, err = nn.New(model, base, options, t.Memory, info); err != nil {
		return nil, err
	}
	if config != nil {
		t.Adapters, err = attach(t.Model, t.Memory.Arena(bindings.Adapters), *config)
	}
	return t, err
}

// Parameters lays out and returns the trained parameters, for an optimizer with that
// state: the adapters and the modules trained whole, or, without adapters, what the
// model's options train. Call it at most once, before Plan.
func (t *Tuned) Parameters(state bindings.OptimizerState) ([]bindings.Param, error) {
	t.params = t.Model.Parameters(state)
	if t.Adapters == nil {
		return t.params, nil
	}
	if err := t.Adapters.checkTrainable(); err != nil {
		return nil, err
	}
	return t.params, t.Adapters.useMasters(t.params)
}

// Plan completes the memory plan for the run's largest micro-batches and returns it,
// in bytes by category.
func (t *Tuned) Plan(profile bindings.Profile, shapes nn.Shapes) bindings.MemoryPlan {
	t.Model.Prepare(profile, shapes)
	return t.Memory.Plan()
}

// Values say where Load reads a model's values from.
type Values struct {
	Base    nn.Weights
	Adapter string // folder of the adapter; "": initialize new ones by their configuration
	Seed    uint64 // of the initialization
	// Later leaves the adapters unset: a checkpoint provides their values.
	Later bool

	// BaseLoaded, if not nil, receives the loaded bytes of the base.
	BaseLoaded func(done, total int64)
	// Initialized, if not nil, receives the number of adapters initialized from their
	// base, which is slow.
	Initialized func(done, total int64)
}

// Load allocates the planned memory on dev and fills it: the base first, because some
// adapters are initialized from it. On error it frees the memory.
func (t *Tuned) Load(dev bindings.Device, v Values) error {
	if err := t.Memory.Commit(dev); err != nil {
		return err
	}
	err := t.load(dev, v)
	if err != nil {
		t.Memory.Close()
	}
	return err
}

func (t *Tuned) load(dev bindings.Device, v Values) error {
	if err := t.Model.Load(dev, v.Base, v.BaseLoaded); err != nil {
		return err
	}
	if err := t.loadOverlays(dev); err != nil {
		return err
	}
	if t.Adapters == nil {
		return nil
	}
	if !v.Later {
		if err := t.loadAdapters(dev, v); err != nil {
			return err
		}
	}
	return t.freeze(dev, v.Seed)
}

func (t *Tuned) loadAdapters(dev bindings.Device, v Values) error {
	t.Adapters.progress = v.Initialized
	if v.Adapter != "" {
		return t.Adapters.Load(dev, v.Adapter)
	}
	return t.Adapters.Init(dev, v.Seed)
}

// Close frees the memory; the device stays open. It may be called at any time.
func (t *Tuned) Close() { t.Memory.Close() }
