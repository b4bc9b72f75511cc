package nn

import (
	"fmt"
	"slices"

	"qlora/bindings"
	"qlora/checkpoint"
)

// Options say how a base is stored and trained. The zero value stores the weights as the
// checkpoint has them, and trains none.
type Options struct {
	Quantize  *bindings.QuantizeOptions // 4-bit projections (QLoRA); nil: as stored
	Train     bool                      // the weights themselves are trained, in float32 (full fine-tuning)
	Modules   Modules                   // that are trained themselves beside adapters
	Recompute Recompute
	// NoiseAlpha is NEFTune's alpha: in training, noise uniform in ±alpha/sqrt(L·hidden)
	// is added to the embeddings. L is the longest sequence of the micro-batch, as in
	// transformers, which takes the length that it pads a batch to. 0: none.
	NoiseAlpha float64
}

// Recompute says what backward computes again instead of keeping it.
type Recompute uint8

// The policies, from fastest to smallest. Normalised inputs and the gated
// activation are elementwise and never kept.
const (
	RecomputeNone  Recompute = iota // no matrix product is computed twice
	RecomputeMLP                    // the first products of the feed-forward network again
	RecomputeLayer                  // all of a layer but its last projection again: only its input is kept
)

// String returns the policy's name as the command line has it.
func (r Recompute) String() string { return [...]string{"none", "mlp", "layer"}[r] }

// ParseRecompute returns the policy called name.
func ParseRecompute(name string) (Recompute, error) {
	for _, r := range []Recompute{RecomputeNone, RecomputeMLP, RecomputeLayer} {
		if r.String() == name {
			return r, nil
		}
	}
	return 0, fmt.Errorf("recompute policy %q is unknown; none, mlp and layer are known", name)
}

// Model is a decoder-only transformer on its way through one run.
type Model struct {
	Config  *Config
	Options Options

	*Transformer

	base      checkpoint.Checkpoint // nil: only config.json is known
	memory    *bindings.Memory
	info      bindings.Info
	weights   []weightSource                      // where every weight comes from, in loading order
	masters   map[bindings.Tensor]bindings.Tensor // of what is trained and not in float32
	params    []bindings.Param                    // what is trained; see Parameters
	rule      bindings.Rule                       // that trains it
	inputs    inputs
	tables    []positionTable
	cached    []int           // columns that each attention keeps of keys, and of values
	others    []string        // modules that are no Projections
	generate  int             // longest sequence that generation is planned for, in tokens
	workspace bindings.Tensor // operations' scratch
	lossSpace bindings.Tensor
}

// New lays out the weights of a model in mem. With base present, its own
// tensors decide the types, and whether a head that config.json ties is one after all;
// without, what config.json declares (a plan needs no weights). A base whose tensors
// do not fit is an error, which names the first. Nothing is allocated yet: see Load.
func New(cfg *Config, base checkpoint.Checkpoint, opts Options, mem *bindings.Memory, info bindings.Info) (*Model, error) {
	t := cfg.Compose()
	m := &Model{Config: tied(cfg, t, base), Options: opts, Transformer: t, base: base, memory: mem, info: info, masters: map[bindings.Tensor]bindings.Tensor{}}
	d := declarer{m: m, base: base}
	m.Embedding.declare(&d)
	for _, l := range m.Layers {
		l.declare(&d)
	}
	d.head(&m.Head, &m.Embedding)
	if base != nil && d.err == nil {
		d.checkUnread()
	}
	if d.err != nil {
		return nil, d.err
	}
	projections := m.Projections()
	m.others = slices.DeleteFunc(slices.Clone(d.modules), func(module string) bool {
		return slices.ContainsFunc(projections, func(p *Projection) bool { return p.Name == module })
	})
	return m, opts.Modules.check(d.modules)
}

// OtherModules returns the modules with weights that are no Projections: embeddings,
// norms, the head.
func (m *Model) OtherModules() []string { return m.others }

// Projections returns the linear layers that an adapter may sit on, in the order
// of the model. The output head is not one.
func (m *Model) Projections() []*Projection {
	var all []*Projection
	if p := m.Embedding.Project; p != nil {
		all = append(all, p)
	}
	for _, l := range m.Layers {
		all = append(all, l.projections()...)
	}
	if p := m.Head.Project; p != nil {
		all = append(all, p)
	}
	return all
}

// A positionTable is what depends on nothing but how long sequences are.
type positionTable interface {
	plan(a *bindings.Arena, positions int)
	load(dev bindings.Device) error
}

// A TensorInfo is a tensor of the model as a checkpoint has it.
type TensorInfo struct {
	Name   string // in the checkpoint: "model.norm.weight"
	Weight string // in the model
	Shape  []int
}

// Tensors returns the tensors that the model reads, in the order of loading.
func (m *Model) Tensors() []TensorInfo {
	all := make([]TensorInfo, len(m.weights))
	for i, w := range m.weights {
		all[i] = TensorInfo{Name: w.stored, Weight: w.name, Shape: w.shape}
	}
	return all
}

// Stored returns the name that a tensor of the model has in the base.
func (m *Model) Stored(name string) string { return storedName(m.base, m.Config.Prefixes, name) }

// Info returns what the device says of itself that the model is laid out for.
func (m *Model) Info() bindings.Info { return m.info }
