package nn

import (
	"fmt"
	"slices"

	"qlora/bindings"
	"qlora/checkpoint"
)

// Options say how a base is stored and trained.
type Options struct {
	Quantize  *bindings.QuantizeOptions // 4-bit projections (QLoRA); nil: as stored
	Train     bool                      // train the weights themselves, in float32 (full fine-tuning)
	Modules   Modules                   // trained fully, next to adapters
	Recompute Recompute
	// Offload keeps what backward reads of the layers in the host's memory (keeper), where a
	// device has memory apart from it (bindings.Info.Apart).
	Offload bool
	// EmbeddingOnHost puts the embedding's table into the host's memory, where Embed reads the rows
	// of its tokens, if a device has memory apart from it. See EmbeddingStays.
	EmbeddingOnHost bool
	// Whole lets a device that decodes 4-bit weights before their products decode all of one at a
	// time (bindings.Project). It takes memory, and no bit depends on it.
	Whole bool
	// NoiseAlpha is NEFTune's alpha: training adds noise uniform in
	// ±alpha/sqrt(L·hidden) to the embeddings. L is the longest sequence of the
	// micro-batch, the length transformers pads a batch to. 0: no noise.
	NoiseAlpha float64
	// LabelSmoothing is the share of the target that is spread over the vocabulary, in
	// training and evaluation. 0: none.
	LabelSmoothing float64
	// Shards is the number of ranks that each hold a part of every layer's frozen linear
	// layers, by the bytes of their codes and scales; see Model.ShareOut. 0: none do.
	Shards int
}

// Recompute selects which activations backward recomputes.
type Recompute uint8

// The policies, from fastest to least memory. Normalized inputs and the activation
// are elementwise and never kept.
const (
	RecomputeNone  Recompute = iota // recomputes no matrix product
	RecomputeMLP                    // recomputes the first products of the MLP
	RecomputeLayer                  // keeps a layer's input only; recomputes all but its last projection
)

// String returns the policy's name on the command line.
func (r Recompute) String() string { return [...]string{"none", "mlp", "layer"}[r] }

// ParseRecompute returns the policy with the given name, or an error that lists the names.
func ParseRecompute(name string) (Recompute, error) {
	for _, r := range []Recompute{RecomputeNone, RecomputeMLP, RecomputeLayer} {
		if r.String() == name {
			return r, nil
		}
	}
	return 0, fmt.Errorf("unknown recompute policy %q; choose none, mlp or layer", name)
}

// A Model is a decoder-only transformer laid out for one run.
type Model struct {
	Config  *Config
	Options Options

	*Transformer

	base checkpoint.Checkpoint // nil: only config.json is available

	declaredTied bool // config.json ties the head
	memory       *bindings.Memory
	info         bindings.Info
	weights      []weightSource                      // the source of every weight, in loading order
	masters      map[bindings.Tensor]bindings.Tensor // float32 copies of trained 16-bit tensors
	params       []bindings.Param                    // trained tensors; see Parameters
	rule         bindings.Rule                       // the optimizer's rule
	inputs       inputs
	rows         []*Rows // trained rows of the embedding and the head
	tables       []positionTable
	biases       adapterBiases
	cached       []int    // per attention: columns of the cached keys, and of the values
	others       []string // modules other than Projections
	decoding     decoding // what generation is planned for
	overlays     []*Overlay
	on           *overlayID   // of the adapters that are on
	comparing    *comparing   // nil: tokens are predicted
	policy       *policyState // nil: completions are not sampled
	shards       shards
	workspace    bindings.Tensor // operations' scratch
	slots        slots           // of Options.Offload
	stays        string          // see EmbeddingStays
	lossSpace    bindings.Tensor
}

// New lays out the weights of a model in mem. The tensors of base decide the types
// and whether the head is tied; a nil base (a plan needs no weights) leaves both to
// config.json. The error names the first tensor of base that does not fit. New
// allocates nothing: see Load.
func New(cfg *Config, base checkpoint.Checkpoint, opts Options, mem *bindings.Memory, info bindings.Info) (*Model, error) {
	t := cfg.Compose()
	m := &Model{Config: tied(cfg, t, base), Options: opts, Transformer: t, base: base, declaredTied: cfg.Tied, memory: mem, info: info, masters: map[bindings.Tensor]bindings.Tensor{}}
	m.shards.parts, m.shards.walks = opts.Shards, map[Walk][]*shard{}
	d := declarer{m: m, base: base}
	m.Embedding.declare(&d)
	for _, l := range m.Layers {
		d.beginShard()
		l.declare(&d)
		d.endShard(l)
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

// EmbeddingStays returns why the embedding's table cannot be in the host's memory; "": it can.
func (m *Model) EmbeddingStays() string { return m.stays }

// OtherModules returns the names of modules with weights other than Projections:
// embeddings, norms, the head.
func (m *Model) OtherModules() []string { return m.others }

// Projections returns the linear layers that accept an adapter, in the order of the
// model, without the output head.
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

// Together returns the model's projections, those of one input in one list.
func (m *Model) Together() [][]*Projection {
	var all [][]*Projection
	if p := m.Embedding.Project; p != nil {
		all = append(all, []*Projection{p})
	}
	for _, l := range m.Layers {
		for _, b := range l.Branches {
			inputs := b.Part.inputs()
			all = append(all, inputs)
			for _, p := range b.Part.projections()[len(inputs):] {
				all = append(all, []*Projection{p})
			}
		}
	}
	if p := m.Head.Project; p != nil {
		all = append(all, []*Projection{p})
	}
	return all
}

// StackA allocates a matrix like the A of each adapter of the given ranks, those of
// projections of one input behind each other, so that a device multiplies the input by all
// at once.
func (m *Model) StackA(a *bindings.Arena, dtype bindings.DType, rank func(*Projection) int) map[*Projection]bindings.Tensor {
	stacked := map[*Projection]bindings.Tensor{}
	for _, inputs := range m.Together() {
		var of []*Projection
		var rows []int
		for _, p := range inputs {
			if r := rank(p); r > 0 {
				of, rows = append(of, p), append(rows, r)
			}
		}
		if len(of) < 2 || of[0].Weight.In%stackedColumns != 0 {
			continue
		}
		for i, t := range a.Stack(dtype, rows, of[0].Weight.In) {
			stacked[of[i]] = t
		}
	}
	return stacked
}

// A positionTable depends only on the length of the longest sequence.
type positionTable interface {
	plan(a *bindings.Arena, positions int)
	load(dev bindings.Device) error
}

// A TensorInfo describes a tensor of the model as a checkpoint stores it.
type TensorInfo struct {
	Name   string // in the checkpoint: "model.norm.weight"
	Weight string // name in the model
	Shape  []int
}

// Tensors returns the tensors the model reads, in loading order.
func (m *Model) Tensors() []TensorInfo {
	all := make([]TensorInfo, len(m.weights))
	for i, w := range m.weights {
		all[i] = TensorInfo{Name: w.stored, Weight: w.name, Shape: w.shape}
	}
	return all
}

// Stored returns the name in the base of a tensor of the model.
func (m *Model) Stored(name string) string { return storedName(m.base, m.Config.Prefixes, name) }

// Base returns the checkpoint that the model was laid out for; nil: none.
func (m *Model) Base() checkpoint.Checkpoint { return m.base }

// Info returns the description of the device the model is laid out for.
func (m *Model) Info() bindings.Info { return m.info }
