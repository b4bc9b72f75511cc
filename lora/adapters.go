package lora

import (
	"errors"
	"fmt"

	"qlora/bindings"
	"qlora/nn"
)

// Adapters are the adapters on one model.
type Adapters struct {
	Config  Config // its targets resolved to a list or a pattern
	factors []factor
}

// factor is the A or the B of one adapter.
type factor struct {
	name   string          // "model.layers.0.self_attn.q_proj.lora_A.weight"
	value  bindings.Tensor // what the forward pass reads: A [r, in] or B [out, r]
	master bindings.Tensor // F32, what the optimizer moves; value itself where that is F32
	stream uint32          // of the random numbers it begins with
	isB    bool
}

// Attach puts an adapter on every projection of m that cfg's targets pick, with
// A and B laid out in mem in the device's type of activations. Their values come
// from Init or Load, once mem was taken.
func Attach(m *nn.Model, mem *bindings.Memory, cfg Config) (*Adapters, error) {
	switch {
	case cfg.DoRA:
		return nil, errors.New("use_dora is true, and magnitudes cannot be computed with yet")
	case len(cfg.ModulesToSave) > 0:
		return nil, fmt.Errorf("modules_to_save is %q, and modules cannot be trained whole beside adapters yet", cfg.ModulesToSave)
	}
	var err error
	all := m.Projections()
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = p.Name
	}
	if cfg.Targets, err = cfg.Targets.Resolve(m.Config.ModelType, names); err != nil {
		return nil, err
	}
	other := append(containers(names), "lm_head", "model.embed_tokens", "model.norm")
	sizes, err := cfg.Sizes(Modules{Linear: names, Other: other})
	if err != nil {
		return nil, err
	}
	return attach(all, sizes, mem.Arena(bindings.Adapters), m.Info().Activation, cfg), nil
}

// attach has sizes in the order of all.
func attach(all []*nn.Projection, sizes []Size, arena *bindings.Arena, dtype bindings.DType, cfg Config) *Adapters {
	a := &Adapters{Config: cfg}
	for i, p := range all {
		if len(sizes) == 0 || p.Name != sizes[0].Module {
			continue
		}
		size := sizes[0]
		sizes = sizes[1:]
		p.Adapter = &bindings.Adapter{
			A:       arena.New(dtype, size.R, p.Weight.In),
			B:       arena.New(dtype, p.Weight.Out, size.R),
			Scale:   size.Scale,
			Dropout: float32(cfg.Dropout),
			// The place among all projections: what one adapter draws does not
			// depend on which others there are.
			Stream: uint32(i),
		}
		a.factors = append(a.factors,
			factor{name: p.Name + ".lora_A.weight", value: p.Adapter.A, master: p.Adapter.A, stream: initStream(i, 0)},
			factor{name: p.Name + ".lora_B.weight", value: p.Adapter.B, master: p.Adapter.B, stream: initStream(i, 1), isB: true})
	}
	return a
}

// UseMasters makes Init, Load and Save go to the float32 masters of the
// parameters, where they are not what the forward pass reads. An adapter that is
// not among params is an error.
func (a *Adapters) UseMasters(params []bindings.Param) error {
	masters := make(map[string]bindings.Tensor, len(params))
	for _, p := range params {
		masters[p.Name] = p.Master
	}
	for i := range a.factors {
		f := &a.factors[i]
		master, ok := masters[f.name]
		if !ok {
			return fmt.Errorf("adapter tensor %q is not among the %d trained parameters", f.name, len(params))
		}
		f.master = master
	}
	return nil
}

// Parameters is the number of elements of all A and B.
func (a *Adapters) Parameters() int64 {
	var n int64
	for _, f := range a.factors {
		n += int64(f.value.Len())
	}
	return n
}
