package lora

import (
	"fmt"
	"slices"
	"strings"

	"qlora/bindings"
	"qlora/nn"
)

// Adapters are the LoRA adapters of one model, with the modules that are trained
// whole.
type Adapters struct {
	Config     Config // its targets resolved to a list or a pattern
	factors    []factor
	magnitudes []magnitude
	biases     []bias
	modules    []tensor // of the modules trained whole
	rows       []tensor // of the trained tokens

	together bool               // the embedding and the head share one adapter
	scales   map[string]float32 // of the adapters on them

	model    *nn.Model
	starts   []start                 // of the adapters initialized from their base weight
	progress func(done, total int64) // reports initialized starts; nil: no reports
}

// factor is the A [r, in] or B [out, r] of one adapter.
type factor struct {
	tensor
	stream uint32 // random stream of its initialization
	isB    bool

	ofEmbedding bool // whose A starts as zero and B as normal
}

// magnitude is the DoRA magnitude of one adapter, [out].
type magnitude struct {
	tensor
	of *nn.Projection
}

// attach puts an adapter on every projection of m that cfg's targets pick. A and B are
// laid out in arena in the device's activation type; Init or Load fills them once its memory
// is allocated.
func attach(m *nn.Model, arena *bindings.Arena, cfg Config) (*Adapters, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	want := cfg.Modules()
	want.Tokens = m.Options.Modules.Tokens // resolved from cfg's
	if laid := m.Options.Modules; !laid.Equal(&want) {
		return nil, fmt.Errorf("the model was laid out with modules_to_save %q and bias %q, the adapter has %q and %q", laid.Names, laid.Biases, want.Names, want.Biases)
	}
	if cfg.Init.ChangesBase() && m.Config.Quantization != nil {
		return nil, fmt.Errorf("init_lora_weights is %q, which needs the original weights, but the base is already quantized to 4 bits; give the model folder it was quantized from", cfg.Init)
	}
	var err error
	all := m.Projections()
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = p.Name
	}
	if cfg.Targets, err = cfg.Targets.Resolve(m.Config.ModelType, m.Config.Targets, names); err != nil {
		return nil, err
	}
	if len(cfg.Layers) == 0 { // which go with a list alone
		cfg.Targets = cfg.Targets.within(m.Config.Part)
	}
	ends := endNames(m)
	other := append(containers(names), without(m.OtherModules(), ends)...)
	sizes, err := cfg.Sizes(ModuleNames{Linear: append(slices.Clip(names), ends...), Other: other})
	if err != nil {
		return nil, err
	}
	sizes = slices.DeleteFunc(sizes, func(s Size) bool { return m.Options.Modules.Pick(s.Module) })
	if len(sizes) == 0 {
		return nil, fmt.Errorf("modules_to_save %q leaves no layer for an adapter", cfg.ModulesToSave)
	}
	sizes, embedding, head, err := cfg.endSizes(m, sizes)
	if err != nil {
		return nil, err
	}
	ranks := map[string]int{}
	for _, s := range sizes {
		ranks[s.Module] = s.R
	}
	stacked := m.StackA(arena, m.Info().Activation, func(p *nn.Projection) int { return ranks[p.Name] })
	a := layOut(all, sizes, stacked, arena, m.Info().Activation, cfg)
	if cfg.LoraBias {
		a.layOutBiases(m, all, arena)
	}
	a.layOutEnds(m, embedding, head, arena, len(all))
	for _, t := range m.Saved() {
		name := t.Name
		if slices.ContainsFunc(sizes, func(s Size) bool { return s.Module+biasSuffix == name }) {
			name = baseLayerBias(name)
		}
		module := newTensor(name, t.Value, t.Shape...)
		module.transposed = t.Transposed
		a.modules = append(a.modules, module)
	}
	a.rows = rowsTensors(m.TrainedRows())
	a.model = m
	return a, a.checkStarts()
}

// layOut lays out one adapter for each size; sizes follow the order of all. The A of some are
// laid out already.
func layOut(all []*nn.Projection, sizes []Size, stacked map[*nn.Projection]bindings.Tensor, arena *bindings.Arena, dtype bindings.DType, cfg Config) *Adapters {
	a := &Adapters{Config: cfg}
	for i, p := range all {
		if len(sizes) == 0 || p.Name != sizes[0].Module {
			continue
		}
		size := sizes[0]
		sizes = sizes[1:]
		// PEFT sets it for a Conv1D layer, which bitsandbytes replaces in 4 bits.
		a.Config.fanInFanOut = p.Transposed() && p.Weight.Quantized == nil
		down, is := stacked[p]
		if !is {
			down = arena.New(dtype, size.R, p.Weight.In)
		}
		p.Adapter = &bindings.Adapter{
			A:       down,
			B:       arena.New(dtype, p.Weight.Out, size.R),
			Scale:   size.Scale,
			Dropout: float32(cfg.Dropout),
			// The index counts all projections, so the random numbers of one adapter
			// do not depend on which others exist.
			Stream: uint32(i),
		}
		a.factors = append(a.factors,
			factor{tensor: newTensor(p.Name+".lora_A.weight", p.Adapter.A, size.R, p.Weight.In), stream: initStream(i, 0)},
			factor{tensor: newTensor(p.Name+".lora_B.weight", p.Adapter.B, p.Weight.Out, size.R), stream: initStream(i, 1), isB: true})
		if cfg.Init.ChangesBase() {
			at := len(a.factors) - 2
			a.factors[at].start = arena.New(bindings.F32, size.R, p.Weight.In)
			a.factors[at+1].start = arena.New(bindings.F32, p.Weight.Out, size.R)
			a.starts = append(a.starts, start{of: p, place: i, factor: at})
		}
		if cfg.DoRA {
			p.Adapter.Magnitude, p.Adapter.Norms = arena.New(bindings.F32, 1, p.Weight.Out), arena.New(bindings.F32, 1, p.Weight.Out)
			a.magnitudes = append(a.magnitudes, magnitude{
				tensor: newTensor(p.Name+".lora_magnitude_vector", p.Adapter.Magnitude, p.Weight.Out), of: p,
			})
		}
	}
	return a
}

// useMasters makes Init, Load and Save use the float32 masters of params where the
// forward pass reads rounded copies. It returns an error if an adapter tensor is not
// among params.
func (a *Adapters) useMasters(params []bindings.Param) error {
	masters := make(map[bindings.Tensor]bindings.Tensor, len(params))
	for _, p := range params {
		masters[p.Value] = p.Master
	}
	for _, t := range a.tensors() {
		master, ok := masters[t.value]
		if !ok {
			return fmt.Errorf("adapter tensor %q is not among the %d trained parameters", t.name, len(params))
		}
		t.master = master
	}
	return nil
}

// tensors returns the tensors of the adapter's file.
func (a *Adapters) tensors() []*tensor {
	var all []*tensor
	for i := range a.factors {
		all = append(all, &a.factors[i].tensor)
	}
	for i := range a.magnitudes {
		all = append(all, &a.magnitudes[i].tensor)
	}
	for i := range a.biases {
		all = append(all, &a.biases[i].tensor)
	}
	for i := range a.modules {
		all = append(all, &a.modules[i])
	}
	for i := range a.rows {
		all = append(all, &a.rows[i])
	}
	return all
}

const biasSuffix = ".bias"

// baseLayerBias returns PEFT's name for the bias of a layer that has an adapter.
func baseLayerBias(name string) string {
	return strings.TrimSuffix(name, biasSuffix) + ".base_layer" + biasSuffix
}
