package lora

import (
	"qlora/bindings"
	"qlora/checkpoint"
	"qlora/nn"
)

// A Tuned is a model with the adapters on it, or without, and the memory of both.
// It is assembled in this order:
//
//	Assemble    lays out the weights and puts the adapters on them
//	Parameters  lays out what is trained, in a run that trains
//	Plan        finds what the largest micro-batches need
//	Load        allocates the memory and fills it
//	Close       frees the memory
//
// Nothing is allocated on a device, and no weight is read, before Load.
type Tuned struct {
	Model    *nn.Model
	Adapters *Adapters // nil: the base alone
	Memory   *bindings.Memory

	params []bindings.Param
}

// Assemble lays out a model on a device of that kind, with the adapters of config on
// it; nil puts none. base, whose tensors decide the types, may be nil for a plan.
// options.Modules is set by config. The error is about the model or the
// configuration.
func Assemble(model *nn.Config, base checkpoint.Checkpoint, options nn.Options, config *Config, info bindings.Info) (*Tuned, error) {
	if config != nil {
		if err := config.Validate(); err != nil {
			return nil, err
		}
		options.Modules = config.Modules()
	}
	t := &Tuned{Memory: bindings.NewMemory()}
	var err error
	if t.Model, err = nn.New(model, base, options, t.Memory, info); err != nil {
		return nil, err
	}
	if config != nil {
		t.Adapters, err = attach(t.Model, t.Memory, *config)
	}
	return t, err
}

// Parameters lays out what is trained by an optimizer that keeps state of it: the
// adapters and the modules next to them, or, in a model without, what its options
// train. It comes before Plan, once.
func (t *Tuned) Parameters(state bindings.OptimizerState) ([]bindings.Param, error) {
	t.params = t.Model.Parameters(state)
	if t.Adapters == nil {
		return t.params, nil
	}
	return t.params, t.Adapters.useMasters(t.params)
}

// Plan completes the plan of the memory by the largest micro-batches of the run, and
// returns it, in bytes by category.
func (t *Tuned) Plan(profile bindings.Profile, shapes nn.Shapes) bindings.MemoryPlan {
	t.Model.Prepare(profile, shapes)
	return t.Memory.Plan()
}

// Values say where Load takes a model's values from.
type Values struct {
	Base    nn.Weights
	Adapter string // folder of the adapter; "": new ones, initialized as their configuration says
	Seed    uint64 // of new ones
	// Later leaves the adapters without values: they come from a checkpoint.
	Later bool

	// BaseLoaded, if not nil, receives how many bytes of the base are there.
	BaseLoaded func(done, total int64)
	// Initialized, if not nil, receives how many of the adapters that are computed from
	// the base, which takes long, are done.
	Initialized func(done, total int64)
}

// Load allocates the planned memory on dev and fills it: the base first, since some
// adapters are initialized from it. Where it fails it frees the memory.
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
	if t.Adapters == nil || v.Later {
		return nil
	}
	t.Adapters.progress = v.Initialized
	if v.Adapter != "" {
		return t.Adapters.Load(dev, v.Adapter)
	}
	return t.Adapters.Init(dev, v.Seed)
}

// Close frees the memory of the device, which stays open. It may be called at any
// time.
func (t *Tuned) Close() { t.Memory.Close() }
