package merge

import (
	"bytes"
	"context"
	"io"
	"strings"

	"qlora/bindings"
	"qlora/checkpoint"
	"qlora/nn/quantize"
)

// A part is a weight of the base, or the adapter's weight that replaces it.
type part struct {
	name       string // in the output
	layer      string // the linear layer it belongs to; "": none
	adapted    string // the module, also the embedding or the head, of an adapter's change
	transposed bool   // the folder has the layer's weight as [in, out]
	tensor     checkpoint.Tensor
	saved      bool              // it comes from an adapter
	rows       map[int][]float32 // of an adapter, in place of its own
	shape      []int             // of a layer [out, in]
	dtype      checkpoint.DType  // of the base's elements or, in 4 bits, what they were quantized from
}

// part returns the weight called name. source is its tensor's name in the base, own
// its name in the model, or "" if it is not part of the model.
func (j *Job) part(name, source, own string) (part, error) {
	t, err := j.base.Tensor(source)
	if err != nil {
		return part{}, err
	}
	p := part{name: name, tensor: t, shape: t.Shape, dtype: t.Plain()}
	if l := j.linear[source]; l != nil && own == l.Name+".weight" {
		p.layer, p.transposed, p.shape = l.Name, l.Transposed(), []int{l.Weight.Out, l.Weight.In}
	}
	p.adapted = p.layer
	if e := j.model; own == e.Embedding.Name+".weight" || own == e.Head.Name+".weight" {
		p.adapted = strings.TrimSuffix(own, ".weight")
	}
	for _, a := range j.adapters {
		if a.biases[own] != nil {
			p.adapted = own
		}
		if a.saved[own] {
			p.tensor, p.saved = a.stored.Tensor(own), true
		}
		if r := a.rows[own]; r != nil {
			if p.rows == nil {
				p.rows = map[int][]float32{}
			}
			values, cols := a.stored.Floats(r.Name()), t.Shape[1]
			for i, id := range r.IDs {
				p.rows[int(id)] = values[i*cols : (i+1)*cols]
			}
		}
	}
	return p, nil
}

// weight returns how to write the weight called name; the names are part's.
func (j *Job) weight(name, source, own string) (checkpoint.Weight, error) {
	p, err := j.part(name, source, own)
	if err != nil {
		return checkpoint.Weight{}, err
	}
	touched := j.touched(p) || name != source
	dtype := j.dtype
	if dtype == "" || !p.dtype.IsFloat() {
		dtype = p.dtype
	}
	dense, packed := p.tensor.IsDense(), p.tensor.FourBit() != nil
	// A 4-bit folder may keep some linear layers in 16 bits; they stay so.
	into4Bit := j.in4Bit && p.layer != "" && (packed || j.config.Quantization == nil)
	switch {
	case into4Bit && (touched || !packed):
		return j.fourBit(p, dtype), nil
	case !into4Bit && (touched || !dense || dtype != p.dtype):
		return j.floats(p, dtype), nil
	}
	if own != "" {
		return checkpoint.CopyFinite(j.base, p.name)
	}
	return checkpoint.Copy(j.base, p.name)
}

// touched reports whether an adapter changes the weight.
func (j *Job) touched(p part) bool {
	touched := p.saved || p.rows != nil
	for _, a := range j.adapters {
		touched = touched || p.adapted != "" && a.changes(p.adapted)
	}
	return touched
}

// floats returns a weight that is written as elements of dtype.
func (j *Job) floats(p part, dtype checkpoint.DType) checkpoint.Weight {
	w := checkpoint.Weight{
		Name: p.name, DType: dtype, Shape: p.shape, Source: p.tensor.Bytes(),
		Write: func(ctx context.Context, out io.Writer) error { return j.write(ctx, p, out, dtype) },
	}
	if p.transposed {
		w.Shape = []int{p.shape[1], p.shape[0]}
		w.Write = func(ctx context.Context, out io.Writer) error {
			var merged bytes.Buffer
			if err := j.write(ctx, p, &merged, dtype); err != nil {
				return err
			}
			_, err := out.Write(checkpoint.Transpose(merged.Bytes(), p.shape[0], p.shape[1], dtype.Size()))
			return err
		}
	}
	return w
}

// fourBit returns a weight that is written in 4 bits. It is quantized as bitsandbytes
// would from elements of dtype or, if it was in 4 bits before, as PEFT does: from the
// float32 sum, with the previous quantization settings.
func (j *Job) fourBit(p part, dtype checkpoint.DType) checkpoint.Weight {
	how, before := j.how, p.tensor.FourBit()
	if before != nil {
		dtype = checkpoint.F32
		how = &bindings.QuantizeOptions{Kind: before.Kind, BlockSize: before.BlockSize, Double: before.Nested != nil}
	}
	return checkpoint.Weight{
		Name: p.name, DType: dtype, Shape: p.shape, Source: p.tensor.Bytes(),
		Pack: func(ctx context.Context) (*checkpoint.FourBit, error) {
			var merged bytes.Buffer
			merged.Grow(p.tensor.Elements() * dtype.Size())
			if err := j.write(ctx, p, &merged, dtype); err != nil {
				return nil, err
			}
			w := quantize.Pack(checkpoint.NewDense(p.name, dtype, p.shape, merged.Bytes()), how)
			if before != nil {
				w.DType = before.DType
			}
			return w, nil
		},
	}
}

// write writes the weight with the adapters' changes as elements of dtype; a linear
// layer's weight is [out, in].
func (j *Job) write(ctx context.Context, p part, out io.Writer, dtype checkpoint.DType) error {
	err := j.matrix(p).write(ctx, out, dtype)
	j.base.Release(p.tensor.Name)
	return err
}

// matrix returns the weight with the adapters' changes; a linear layer's is [out, in].
func (j *Job) matrix(p part) *matrix {
	m := &matrix{name: p.name, rows: 1, cols: 1, product: j.product}
	if last := len(p.shape) - 1; last >= 0 {
		m.rows, m.cols = elements(p.shape[:last]), p.shape[last]
	}
	tensor := p.tensor
	if p.transposed {
		tensor = tensor.Transposed()
	}
	m.from = stored{tensor, m.cols}
	if p.rows != nil {
		m.from = overlaid{m.from, p.rows, m.cols}
	}
	for _, a := range j.adapters {
		c, ok := a.change(p.adapted)
		if !ok {
			continue
		}
		m.changes = append(m.changes, c)
		if a.on.ChangesBase() {
			whole := make([]float32, m.rows*m.cols)
			m.from.rows(whole, 0, m.rows)
			a.on.Residual(p.layer, whole)
			m.from = values{whole, m.cols}
		}
	}
	return m
}

func elements(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
