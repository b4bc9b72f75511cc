package nn

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"qlora/bindings"
	"qlora/checkpoint"
	"qlora/nf4"
)

// A declarer allocates weights in a plan and records the source of each. It keeps
// the first error.
type declarer struct {
	m       *Model
	base    checkpoint.Checkpoint // nil: only config.json is available
	modules []string              // names of the declared modules
	err     error

	streams uint32 // of the model's own dropout, so far
	shard   *shard // of the layer that is declared; nil: it is whole on every rank
}

// stream returns the next random stream for the model's own dropout.
func (d *declarer) stream() uint32 {
	d.streams++
	return bindings.ModelStream + d.streams - 1
}

// attention returns the index of the next attention, whose keys have width columns.
func (d *declarer) attention(width int) int {
	d.m.cached = append(d.m.cached, width)
	return len(d.m.cached) - 1
}

// rotary registers a table for allocation once the longest sequence is known;
// keyBias does the same.
func (d *declarer) rotary(r *Rotary) {
	for ; r != nil; r = r.Long {
		d.table(r)
		if r.Queries != nil {
			d.table(r.Queries)
		}
	}
}

func (d *declarer) keyBias(b *KeyBias) {
	if b != nil {
		d.table(b)
	}
}

func (d *declarer) table(t positionTable) {
	if !slices.Contains(d.m.tables, t) {
		d.m.tables = append(d.m.tables, t)
	}
}

// A weightSource says where Load reads a weight and how it is trained.
type weightSource struct {
	name       string // "model.norm.weight"
	module     string // "model.norm"
	stored     string // its name in the checkpoint
	shape      []int  // there
	transposed bool   // the checkpoint stores [out, in] as [in, out]
	dense      bindings.Tensor
	linear     *bindings.Linear // a weight in codes; nil: dense
	span       span             // in a shard

	trained   bool
	frozen    bool        // of a linear layer that is not trained itself
	host      bool        // in the host's memory
	layerNorm bool        // with weight and bias
	bias      bool        // a bias of any module
	biasOf    *Projection // the layer whose adapter may make this bias trainable
	kind      kind
	grad      *bindings.Tensor // receives the gradient's tensor

	// For a weight that is row turn of a tensor of turns rows.
	turn, turns int
	whole       *bindings.Tensor
}

func (d *declarer) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
	}
}

// name returns the name of a tensor in the base: the model's own, or the one with an
// alternative prefix of the config.
func (d *declarer) name(name string) string { return d.m.Stored(name) }

func storedName(base checkpoint.Checkpoint, prefixes []Prefix, name string) string {
	if base == nil {
		return name
	}
	has := func(name string) bool {
		_, err := base.Tensor(name)
		return !errors.Is(err, checkpoint.ErrNoTensor)
	}
	if has(name) {
		return name
	}
	for _, p := range prefixes {
		if rest, ok := strings.CutPrefix(name, p.Model); ok && has(p.Stored+rest) {
			return p.Stored + rest
		}
	}
	return name
}

// stored returns the element type of a dense tensor in the base, after checking its
// shape.
func (d *declarer) stored(name string, shape ...int) bindings.DType {
	declared := d.m.Config.DType
	if d.base != nil {
		t, err := d.base.Tensor(name)
		switch {
		case errors.Is(err, checkpoint.ErrNoTensor):
			d.fail("%s has no tensor %q, required by config.json", d.base.Source(), name)
			return bindings.F32
		case err != nil:
			d.fail("%w", err)
			return bindings.F32
		case t.FourBit() != nil:
			d.fail("%s: tensor %q is stored in 4 bits, but only weights of linear layers may be", d.base.Where(name), name)
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
		d.fail("tensor %q has element type %s; F32, BF16 and F16 are supported", name, declared)
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

// declares records a module and reports whether it is trained itself.
func (d *declarer) declares(module string) bool {
	d.modules = append(d.modules, module)
	return d.trains(module)
}

// weightType returns the type of a dense weight on the device: the device's own
// 16-bit type on a 16-bit device, float32 for a trained weight, else the stored type.
func (d *declarer) weightType(stored bindings.DType, trained bool) bindings.DType {
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

// vectorF32 allocates a float32 vector.
func (d *declarer) vectorF32(w weightSource, n int) bindings.Tensor {
	w.kind = vector
	return d.placeAs(bindings.F32, w, 1, n, n)
}

func (d *declarer) place(w weightSource, rows, cols int, shape ...int) bindings.Tensor {
	trained := d.trains(w.module) || len(d.tokensOf(w.module)) > 0 || w.bias && d.m.Options.Modules.Biases == BiasesAll || w.biasOf != nil && d.m.Options.Modules.Biases.any()
	if w.stored == "" {
		w.stored = d.name(w.name)
	}
	return d.placeAs(d.weightType(d.stored(w.stored, shape...), trained), w, rows, cols, shape...)
}

func (d *declarer) placeAs(dtype bindings.DType, w weightSource, rows, cols int, shape ...int) bindings.Tensor {
	if w.stored == "" {
		w.stored = d.name(w.name)
	}
	w.trained, w.shape = d.declares(w.module), shape
	arena := d.m.memory.Arena(bindings.Weights16Bit)
	switch {
	case w.frozen:
		arena = d.codes(bindings.Weights16Bit)
	case w.host:
		arena = d.m.memory.Arena(bindings.HostEmbedding)
	}
	mark := arena.Mark()
	if w.whole != nil {
		if w.whole.Absent() {
			*w.whole = arena.New(dtype, w.turns, cols)
		}
		w.dense = w.whole.Slice(w.turn, w.turn+1)
	} else {
		w.dense = arena.New(dtype, rows, cols)
	}
	if w.frozen {
		w.span = d.since(arena, mark)
	}
	d.m.weights = append(d.m.weights, w)
	return w.dense
}

// head allocates the output head. A tied head shares the embedding's table, unless
// only one of the two is trained.
func (d *declarer) head(h *Head, e *Embedding) {
	m := d.m
	vocabulary, out := m.Config.Vocabulary, &h.out
	h.Norm.declare(d)
	if h.Project != nil {
		d.projection(h.Project)
	}
	out.Name = h.Name
	out.Weight = bindings.Weight{Out: vocabulary, In: e.Size, Dense: e.table}
	w := weightSource{name: h.Name + ".weight", module: h.Name, grad: &out.DWeight}
	switch {
	case m.Config.Tied && !d.separates():
		d.modules = append(d.modules, h.Name)
	case m.Config.Tied:
		w.stored = d.name(e.Name + ".weight")
		out.Weight.Dense = d.dense(w, vocabulary, e.Size)
		d.trainRows(h.Name, w.stored, out.Weight.Dense)
	default:
		out.Weight.Dense = d.dense(w, vocabulary, e.Size)
		d.trainRows(h.Name, d.name(w.name), out.Weight.Dense)
	}
	if h.Bias {
		out.Bias = d.vector(weightSource{name: h.Name + ".bias", module: h.Name, bias: true, grad: &out.DBias}, vocabulary)
	}
}

// projection allocates one linear layer: in 4 bits if the options ask for it or the
// folder stores it so, else dense.
func (d *declarer) projection(p *Projection) {
	out, in := p.Weight.Out, p.Weight.In
	key := d.name(p.Name + ".weight")
	shape := []int{out, in}
	if p.transposed {
		shape = []int{in, out}
	}
	packed, err := d.storedIn4Bit(key)
	mixed := d.base != nil && d.m.Config.Quantization != nil
	switch {
	case err != nil:
		d.fail("%w", err)
	case packed != nil && d.m.Options.Quantize == nil:
		d.fail("tensor %q is stored in 4 bits; use method qlora with this folder", key)
	case packed != nil:
		d.packed(p, key, packed)
	case d.m.Options.Quantize != nil && !mixed:
		if d.stored(key, shape...); d.err != nil {
			return
		}
		q := d.m.Options.Quantize
		if kind, blockSize, ok := d.kept(p, key); ok {
			d.fourBit(p, key, shape, kind, blockSize, false)
		} else if blockSize, ok := d.kept8(p, key); ok {
			d.eightBit(p, key, shape, blockSize)
		} else {
			d.fourBit(p, key, shape, q.Kind, q.BlockSize, q.Double)
		}
	default:
		// This includes layers that a mixed bitsandbytes folder stores in 16 bits.
		w := weightSource{name: p.Name + ".weight", module: p.Name, transposed: p.transposed, grad: &p.DWeight, frozen: !d.trains(p.Name)}
		p.Weight.Dense = d.place(w, out, in, shape...)
	}
	if p.hasBias {
		p.Bias = d.vector(weightSource{name: p.Name + ".bias", module: p.Name, bias: true, biasOf: p, grad: &p.DBias}, out)
	}
}

// storedIn4Bit returns the weight's codes if the base stores it in 4 bits, else nil.
func (d *declarer) storedIn4Bit(key string) (*checkpoint.FourBit, error) {
	if d.base == nil {
		return nil, nil
	}
	t, err := d.base.Tensor(key)
	if errors.Is(err, checkpoint.ErrNoTensor) {
		return nil, nil // stored reports the error
	}
	return t.FourBit(), err
}

// kept returns the code and the block size of a weight that is held as the base has it.
func (d *declarer) kept(p *Projection, key string) (kind nf4.Kind, blockSize int, ok bool) {
	if d.base == nil || !d.m.Options.Quantize.Keep || p.transposed {
		return 0, 0, false
	}
	t, err := d.base.Tensor(key)
	if err != nil {
		return 0, 0, false // stored has reported it
	}
	return t.Keeps()
}

// kept8 returns the block size of a weight that is held in the base's 8 bits.
func (d *declarer) kept8(p *Projection, key string) (blockSize int, ok bool) {
	if d.base == nil || !d.m.Options.Quantize.Keep || !d.m.info.EightBit || p.transposed {
		return 0, false
	}
	t, err := d.base.Tensor(key)
	if err != nil {
		return 0, false // stored has reported it
	}
	return t.Keeps8()
}

// packed allocates a weight that the base stores in 4 bits, as [out, in] in every
// family.
func (d *declarer) packed(p *Projection, key string, w *checkpoint.FourBit) {
	if w.Shape != [2]int{p.Weight.Out, p.Weight.In} {
		d.fail("%s: tensor %q is a 4-bit matrix of shape %v; config.json implies [%d %d]", d.base.Where(key), key, w.Shape, p.Weight.Out, p.Weight.In)
		return
	}
	if w.Nested != nil && w.Nested.BlockSize != bindings.NestedBlockSize {
		d.fail("%s: tensor %q has nested blocks of %d; bitsandbytes writes %d", d.base.Where(key), key, w.Nested.BlockSize, bindings.NestedBlockSize)
		return
	}
	d.fourBit(p, key, w.Shape[:], w.Kind, w.BlockSize, w.Nested != nil)
}

func (d *declarer) fourBit(p *Projection, key string, shape []int, kind nf4.Kind, blockSize int, double bool) {
	if d.declares(p.Name) {
		d.fail("modules_to_save picks %s, which is stored in 4 bits and cannot be trained", p.Name)
	}
	arena := d.codes(bindings.Weights4Bit)
	mark := arena.Mark()
	p.Weight.Quantized = bindings.NewQuantized(arena, p.Weight.Out, p.Weight.In, kind, blockSize, double)
	d.inCodes(p, key, shape, d.since(arena, mark))
}

func (d *declarer) eightBit(p *Projection, key string, shape []int, blockSize int) {
	if d.declares(p.Name) {
		d.fail("modules_to_save picks %s, which is held in 8 bits and cannot be trained", p.Name)
	}
	arena := d.codes(bindings.Weights4Bit)
	mark := arena.Mark()
	p.Weight.EightBit = bindings.NewEightBit(arena, p.Weight.Out, p.Weight.In, blockSize)
	d.inCodes(p, key, shape, d.since(arena, mark))
}

// inCodes records the source of a weight in codes.
func (d *declarer) inCodes(p *Projection, key string, shape []int, in span) {
	d.m.weights = append(d.m.weights, weightSource{
		name: p.Name + ".weight", stored: key, shape: shape, transposed: p.transposed, linear: &p.Linear, span: in,
	})
}
