package nn

import (
	"errors"
	"fmt"

	"qlora/bindings"
	"qlora/checkpoint"
	"qlora/nf4"
)

// declarer lays weights out in a plan and remembers where each comes from. It
// keeps the first error.
type declarer struct {
	m       *Model
	base    checkpoint.Checkpoint // nil: only config.json is known
	modules []string              // what has been declared
	err     error
}

// weightSource says what Load fills a weight from, and how it is trained.
type weightSource struct {
	name   string // "model.norm.weight"
	module string // "model.norm"
	stored string // its name in the checkpoint, where that is another one
	shape  []int  // there
	dense  bindings.Tensor
	linear *bindings.Linear // a 4-bit weight; nil: dense

	trained bool
	biasOf  *Projection // nil: no bias; one may be trained because of its layer's adapter
	kind    kind
	grad    *bindings.Tensor // where the place of its gradient goes
}

// key is the weight's name in the checkpoint.
func (w *weightSource) key() string {
	if w.stored != "" {
		return w.stored
	}
	return w.name
}

func (d *declarer) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
	}
}

// stored is the element type of a dense tensor in the base, after checking its
// shape.
func (d *declarer) stored(name string, shape ...int) bindings.DType {
	declared := d.m.Config.DType
	if d.base != nil {
		t, err := d.base.Tensor(name)
		switch {
		case errors.Is(err, checkpoint.ErrNoTensor):
			d.fail("%s has no tensor %q, which config.json implies", d.base.Source(), name)
			return bindings.F32
		case err != nil:
			d.fail("%w", err)
			return bindings.F32
		case t.FourBit() != nil:
			d.fail("%s: tensor %q is stored in 4 bits, and only the weights of linear layers can be used so", d.base.Where(name), name)
			return bindings.F32
		}
		if !equalShape(t.Shape, shape) {
			d.fail("%s: tensor %q has shape %v; config.json implies %v", d.base.Where(name), name, t.Shape, shape)
			return bindings.F32
		}
		declared = string(t.DType)
	}
	dtype, err := bindings.ParseDType(declared)
	if err != nil || dtype != bindings.F32 && dtype != bindings.BF16 && dtype != bindings.F16 {
		d.fail("tensor %q has element type %s; F32, BF16 and F16 can be computed with", name, declared)
	}
	return dtype
}

func equalShape(got, want []int) bool {
	if len(got) != len(want) {
		return false
	}
	for i := range got {
		if got[i] != want[i] {
			return false
		}
	}
	return true
}

// declares notes a module, and reports whether it is trained itself.
func (d *declarer) declares(module string) bool {
	d.modules = append(d.modules, module)
	return d.trains(module)
}

// held is the type a dense weight is held in: float32 while it is trained on a
// float32 device, the device's own 16-bit type on a 16-bit device, else as it is
// stored.
func (d *declarer) held(stored bindings.DType, trained bool) bindings.DType {
	switch {
	case d.m.info.Activation != bindings.F32:
		return d.m.info.Activation
	case trained:
		return bindings.F32
	}
	return stored
}

func (d *declarer) dense(w weightSource, rows, cols int) bindings.Tensor {
	return d.place(w, rows, cols, rows, cols)
}

func (d *declarer) vector(w weightSource, n int) bindings.Tensor {
	w.kind = vector
	return d.place(w, 1, n, n)
}

func (d *declarer) place(w weightSource, rows, cols int, shape ...int) bindings.Tensor {
	w.trained, w.shape = d.declares(w.module), shape
	w.dense = d.m.memory.Arena(bindings.Weights16Bit).New(d.held(d.stored(w.key(), shape...), w.trained || w.biasOf != nil && d.m.Options.Modules.Biases.any()), rows, cols)
	d.m.weights = append(d.m.weights, w)
	return w.dense
}

func (d *declarer) norm(n *normWeight, module string, size int) {
	n.weight = d.vector(weightSource{name: module + ".weight", module: module, grad: &n.grad}, size)
}

// head lays out the output head. A tied one is the embedding itself, unless one
// of the two is trained on its own.
func (d *declarer) head(vocabulary, hidden int) {
	m := d.m
	m.head.Name = headName
	m.head.Weight = bindings.Weight{Out: vocabulary, In: hidden, Dense: m.embedding}
	w := weightSource{name: headName + ".weight", module: headName, grad: &m.head.DWeight}
	if m.Config.Tied {
		if !d.separates() {
			d.modules = append(d.modules, headName)
			return
		}
		w.stored = embeddingName + ".weight"
	}
	m.head.Weight.Dense = d.dense(w, vocabulary, hidden)
}

// projection lays out one linear layer into p: in 4 bits where the options ask
// for it or the folder has it so, else dense.
func (d *declarer) projection(p *Projection, name string, out, in int, bias bool) {
	p.Name = name
	p.Weight.Out, p.Weight.In = out, in
	key := name + ".weight"
	packed, err := d.storedIn4Bit(key)
	mixed := d.base != nil && d.m.Config.Quantization != nil
	switch {
	case err != nil:
		d.fail("%w", err)
	case packed != nil && d.m.Options.Quantize == nil:
		d.fail("tensor %q is stored in 4 bits; only method qlora can use this folder", key)
	case packed != nil:
		d.packed(p, key, packed)
	case d.m.Options.Quantize != nil && !mixed:
		if d.stored(key, out, in); d.err != nil {
			return
		}
		q := d.m.Options.Quantize
		d.fourBit(p, key, q.Kind, q.BlockSize, q.Double)
	default:
		// Also the layers that a mixed bitsandbytes folder keeps in 16 bits.
		p.Weight.Dense = d.dense(weightSource{name: key, module: name, grad: &p.DWeight}, out, in)
	}
	if bias {
		p.Bias = d.vector(weightSource{name: name + ".bias", module: name, biasOf: p, grad: &p.DBias}, out)
	}
}

// storedIn4Bit returns the weight's codes where the base has it in 4 bits, else nil.
func (d *declarer) storedIn4Bit(key string) (*checkpoint.FourBit, error) {
	if d.base == nil {
		return nil, nil
	}
	t, err := d.base.Tensor(key)
	if errors.Is(err, checkpoint.ErrNoTensor) {
		return nil, nil // stored says so
	}
	return t.FourBit(), err
}

// packed lays out a weight that the base has in 4 bits.
func (d *declarer) packed(p *Projection, key string, w *checkpoint.FourBit) {
	if w.Shape != [2]int{p.Weight.Out, p.Weight.In} {
		d.fail("%s: tensor %q is a 4-bit matrix of shape %v; config.json implies [%d %d]", d.base.Where(key), key, w.Shape, p.Weight.Out, p.Weight.In)
		return
	}
	if w.Nested != nil && w.Nested.BlockSize != bindings.NestedBlockSize {
		d.fail("%s: tensor %q has nested blocks of %d; bitsandbytes writes %d", d.base.Where(key), key, w.Nested.BlockSize, bindings.NestedBlockSize)
		return
	}
	d.fourBit(p, key, w.Kind, w.BlockSize, w.Nested != nil)
}

func (d *declarer) fourBit(p *Projection, key string, kind nf4.Kind, blockSize int, double bool) {
	if d.declares(p.Name) {
		d.fail("modules_to_save picks %s, which is held in 4 bits and cannot be trained itself", p.Name)
	}
	p.Weight.Quantized = bindings.NewQuantized(d.m.memory.Arena(bindings.Weights4Bit), p.Weight.Out, p.Weight.In, kind, blockSize, double)
	d.m.weights = append(d.m.weights, weightSource{name: key, shape: []int{p.Weight.Out, p.Weight.In}, linear: &p.Linear})
}

func (d *declarer) layer(i int) *layer {
	c := d.m.Config
	prefix := fmt.Sprintf("model.layers.%d.", i)
	q, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	l := &layer{window: c.Windows[i]}
	d.norm(&l.inputNorm, prefix+"input_layernorm", c.Hidden)
	d.projection(&l.q, prefix+"self_attn.q_proj", q, c.Hidden, c.QKVBias)
	d.projection(&l.k, prefix+"self_attn.k_proj", kv, c.Hidden, c.QKVBias)
	d.projection(&l.v, prefix+"self_attn.v_proj", kv, c.Hidden, c.QKVBias)
	if c.QKNorm {
		d.norm(&l.qNorm, prefix+"self_attn.q_norm", c.HeadDim)
		d.norm(&l.kNorm, prefix+"self_attn.k_norm", c.HeadDim)
	}
	d.projection(&l.o, prefix+"self_attn.o_proj", c.Hidden, q, c.OutputBias)
	d.norm(&l.postNorm, prefix+"post_attention_layernorm", c.Hidden)
	d.projection(&l.gate, prefix+"mlp.gate_proj", c.Intermediate, c.Hidden, c.MLPBias)
	d.projection(&l.up, prefix+"mlp.up_proj", c.Intermediate, c.Hidden, c.MLPBias)
	d.projection(&l.down, prefix+"mlp.down_proj", c.Hidden, c.Intermediate, c.MLPBias)
	return l
}
