package nn

import (
	"fmt"

	"qlora/bindings"
	"qlora/internal/bnb"
	"qlora/internal/nf4"
	"qlora/internal/safetensors"
)

// declarer lays weights out in a plan and remembers where each comes from. It
// keeps the first error.
type declarer struct {
	m    *Model
	base *safetensors.Folder // nil: only config.json is known
	err  error
}

// weightSource says what Load fills a weight from.
type weightSource struct {
	name   string // in the checkpoint
	shape  []int  // there
	dense  bindings.Tensor
	linear *bindings.Linear // a 4-bit weight; nil: dense
	packed *bnb.Weight4     // its codes, where the folder has them; nil: quantized on loading
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
		t, ok := d.base.Tensor(name)
		if !ok {
			d.fail("%s has no tensor %q, which config.json implies", d.base.Source(), name)
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

// held is the type a dense weight is held in: float32 while it is trained on a
// float32 device, the device's own 16-bit type on a 16-bit device, else as it is
// stored.
func (d *declarer) held(stored bindings.DType) bindings.DType {
	switch {
	case d.m.info.Activation != bindings.F32:
		return d.m.info.Activation
	case d.m.Options.Train:
		return bindings.F32
	}
	return stored
}

func (d *declarer) dense(name string, rows, cols int) bindings.Tensor {
	return d.place(name, rows, cols, rows, cols)
}

func (d *declarer) vector(name string, n int) bindings.Tensor {
	return d.place(name, 1, n, n)
}

func (d *declarer) place(name string, rows, cols int, shape ...int) bindings.Tensor {
	t := d.m.memory.Arena(bindings.Weights16Bit).New(d.held(d.stored(name, shape...)), rows, cols)
	d.m.weights = append(d.m.weights, weightSource{name: name, shape: shape, dense: t})
	return t
}

func (d *declarer) norm(name string, n int) normWeight {
	return normWeight{name: name, weight: d.vector(name, n)}
}

// projection lays out one linear layer into p: in 4 bits where the options ask
// for it or the folder has it so, else dense.
func (d *declarer) projection(p *Projection, name string, out, in int, bias bool) {
	p.Name = name
	p.Weight.Out, p.Weight.In = out, in
	key := name + ".weight"
	packed := d.base != nil && bnb.Is4Bit(d.base, key)
	mixed := d.base != nil && d.m.Config.Quantization != nil
	switch {
	case packed && d.m.Options.Quantize == nil:
		d.fail("tensor %q is stored in 4 bits; only method qlora can use this folder", key)
	case packed:
		d.packed(p, key)
	case d.m.Options.Quantize != nil && !mixed:
		if d.stored(key, out, in); d.err != nil {
			return
		}
		q := d.m.Options.Quantize
		d.fourBit(p, key, q.Kind, q.BlockSize, q.Double, nil)
	default:
		// Also the layers that a mixed bitsandbytes folder keeps in 16 bits.
		p.Weight.Dense = d.dense(key, out, in)
	}
	if bias {
		p.Bias = d.vector(name+".bias", out)
	}
}

// packed lays out a weight that the folder holds as bitsandbytes' 4-bit keys.
func (d *declarer) packed(p *Projection, key string) {
	w, err := bnb.Read(d.base, key)
	if err != nil {
		d.fail("%w", err)
		return
	}
	if w.Shape != [2]int{p.Weight.Out, p.Weight.In} {
		d.fail("%s: tensor %q is a 4-bit matrix of shape %v; config.json implies [%d %d]", d.base.Where(key), key, w.Shape, p.Weight.Out, p.Weight.In)
		return
	}
	if w.Nested != nil && w.Nested.BlockSize != bindings.NestedBlockSize {
		d.fail("%s: tensor %q has nested blocks of %d; bitsandbytes writes %d", d.base.Where(key), key, w.Nested.BlockSize, bindings.NestedBlockSize)
		return
	}
	d.fourBit(p, key, w.Kind, w.BlockSize, w.Nested != nil, &w)
}

func (d *declarer) fourBit(p *Projection, key string, kind nf4.Kind, blockSize int, double bool, packed *bnb.Weight4) {
	p.Weight.Quantized = bindings.NewQuantized(d.m.memory.Arena(bindings.Weights4Bit), p.Weight.Out, p.Weight.In, kind, blockSize, double)
	d.m.weights = append(d.m.weights, weightSource{name: key, shape: []int{p.Weight.Out, p.Weight.In}, linear: &p.Linear, packed: packed})
}

func (d *declarer) layer(i int) *layer {
	c := d.m.Config
	prefix := fmt.Sprintf("model.layers.%d.", i)
	q, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	l := &layer{window: c.Windows[i]}
	l.inputNorm = d.norm(prefix+"input_layernorm.weight", c.Hidden)
	d.projection(&l.q, prefix+"self_attn.q_proj", q, c.Hidden, c.QKVBias)
	d.projection(&l.k, prefix+"self_attn.k_proj", kv, c.Hidden, c.QKVBias)
	d.projection(&l.v, prefix+"self_attn.v_proj", kv, c.Hidden, c.QKVBias)
	if c.QKNorm {
		l.qNorm = d.norm(prefix+"self_attn.q_norm.weight", c.HeadDim)
		l.kNorm = d.norm(prefix+"self_attn.k_norm.weight", c.HeadDim)
	}
	d.projection(&l.o, prefix+"self_attn.o_proj", c.Hidden, q, c.OutputBias)
	l.postNorm = d.norm(prefix+"post_attention_layernorm.weight", c.Hidden)
	d.projection(&l.gate, prefix+"mlp.gate_proj", c.Intermediate, c.Hidden, c.MLPBias)
	d.projection(&l.up, prefix+"mlp.up_proj", c.Intermediate, c.Hidden, c.MLPBias)
	d.projection(&l.down, prefix+"mlp.down_proj", c.Hidden, c.Intermediate, c.MLPBias)
	return l
}
