package nn

import (
	"fmt"

	"qlora/bindings"
	"qlora/checkpoint"
)

// Options say how a base is held and trained.
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
	RecomputeMLP                    // gate and up again
	RecomputeLayer                  // all of a layer but its last projection again: only its input is kept
)

// String is the policy's name as the command line has it.
func (r Recompute) String() string { return [...]string{"none", "mlp", "layer"}[r] }

// ParseRecompute is the policy called name.
func ParseRecompute(name string) (Recompute, error) {
	for _, r := range []Recompute{RecomputeNone, RecomputeMLP, RecomputeLayer} {
		if r.String() == name {
			return r, nil
		}
	}
	return 0, fmt.Errorf("recompute policy %q is unknown; none, mlp and layer are known", name)
}

// A Projection is a linear layer of the transformer: what the operations
// compute with, and the gradients of what is trained of it.
type Projection struct {
	bindings.Linear

	DA, DB         bindings.Tensor // of the adapter
	DMagnitude     bindings.Tensor // of its magnitude, where it has one
	DWeight, DBias bindings.Tensor // of the base, where that is trained
}

// normWeight is the scale of one RMSNorm.
type normWeight struct {
	weight bindings.Tensor // [1, features]
	grad   bindings.Tensor // F32; absent: frozen
}

// Model is a decoder-only transformer on its way through one run.
type Model struct {
	Config  *Config
	Options Options

	embedding     bindings.Tensor // [vocabulary, hidden]
	embeddingGrad bindings.Tensor // F32; absent: frozen
	layers        []*layer
	norm          normWeight
	head          Projection

	base      checkpoint.Checkpoint // nil: only config.json is known
	memory    *bindings.Memory
	info      bindings.Info
	weights   []weightSource                      // where every weight comes from, in loading order
	masters   map[bindings.Tensor]bindings.Tensor // of what is trained and not in float32
	params    []bindings.Param                    // what is trained; see Parameters
	rule      bindings.Rule                       // that trains it
	inputs    inputs
	generate  int             // longest sequence that generation is planned for, in tokens
	workspace bindings.Tensor // operations' scratch
	lossSpace bindings.Tensor
}

// New lays out the weights of a model in mem. With base present, its own
// tensors decide the types; without, what config.json declares (a plan
// needs no weights). Nothing is read or allocated yet: see Load.
func New(cfg *Config, base checkpoint.Checkpoint, opts Options, mem *bindings.Memory, info bindings.Info) (*Model, error) {
	m := &Model{Config: cfg, Options: opts, base: base, memory: mem, info: info, masters: map[bindings.Tensor]bindings.Tensor{}}
	d := declarer{m: m, base: base}
	h := cfg.Hidden
	m.embedding = d.dense(weightSource{name: embeddingName + ".weight", module: embeddingName, kind: table, grad: &m.embeddingGrad}, cfg.Vocabulary, h)
	for i := range cfg.Layers {
		m.layers = append(m.layers, d.layer(i))
	}
	d.norm(&m.norm, "model.norm", h)
	d.head(cfg.Vocabulary, h)
	if d.err != nil {
		return nil, d.err
	}
	return m, opts.Modules.check(d.modules)
}

// Projections are the linear layers that an adapter may sit on: those of every
// layer in the order q, k, v, o, gate, up, down. The output head is not one.
func (m *Model) Projections() []*Projection {
	var all []*Projection
	for _, l := range m.layers {
		all = append(all, l.projections()...)
	}
	return all
}

// Info is what the device that the model is laid out for says of itself.
func (m *Model) Info() bindings.Info { return m.info }
