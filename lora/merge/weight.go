package merge

import (
	"bytes"
	"context"
	"io"
	"strings"

	"qlora/bindings"
	"qlora/internal/bnb"
	"qlora/internal/modelfolder"
	"qlora/internal/safetensors"
	"qlora/nn/quantize"
)

// The tensors that are one where a model's head is its embedding.
const (
	embedding = "model.embed_tokens.weight"
	head      = "lm_head.weight"
)

// A part is a weight of the base: a tensor, or a 4-bit weight of several.
type part struct {
	name   string // of the tensor, or of the codes
	layer  string // the linear layer whose weight it is; "": another weight
	packed *bnb.Weight4
	tensor safetensors.Tensor // of the base or, in its place, of an adapter
	saved  bool               // it is an adapter's
	shape  []int
	dtype  safetensors.DType // of the base's elements or, in 4 bits, what they were quantized from
}

// part is the weight called name, whose tensor the base calls source.
func (j *Job) part(name, source string) (part, error) {
	t, _ := j.base.Tensor(source)
	p := part{name: name, tensor: t, shape: t.Shape, dtype: t.DType}
	if layer, ok := strings.CutSuffix(name, ".weight"); ok && j.linear[layer] {
		p.layer = layer
	}
	if bnb.Is4Bit(j.base, source) {
		w, err := bnb.Read(j.base, source)
		if err != nil {
			return p, err
		}
		p.packed, p.shape, p.dtype = &w, w.Shape[:], dtypes[w.DType]
	}
	for _, a := range j.adapters {
		if a.saved[name] {
			p.tensor, p.saved, p.packed = a.stored.Tensor(name), true, nil
		}
	}
	return p, nil
}

// weight says how a weight of the base is written.
func (j *Job) weight(p part) modelfolder.Weight {
	touched := p.saved || p.tensor.Name != p.name
	for _, a := range j.adapters {
		touched = touched || p.layer != "" && a.layers[p.layer] != nil
	}
	dtype := j.dtype
	if dtype == "" || !p.dtype.IsFloat() {
		dtype = p.dtype
	}
	// A 4-bit folder may keep some of its linear layers in 16 bits: they stay so.
	into4Bit := j.in4Bit && p.layer != "" && (p.packed != nil || j.config.Quantization == nil)
	switch {
	case into4Bit && (touched || p.packed == nil):
		return j.fourBit(p, dtype)
	case !into4Bit && (touched || p.packed != nil || dtype != p.dtype):
		return j.floats(p, dtype)
	case p.packed != nil:
		return modelfolder.Copy(j.base, bnb.Tensors(j.base, p.name)...)
	}
	return modelfolder.Copy(j.base, p.name)
}

// floats is a weight that is written as elements of dtype.
func (j *Job) floats(p part, dtype safetensors.DType) modelfolder.Weight {
	return modelfolder.Weight{
		Name: p.name, Source: int64(len(p.tensor.Data)), Held: int64(elements(p.shape) * dtype.Size()),
		Entries: func(ctx context.Context, read func()) ([]safetensors.Entry, error) {
			return []safetensors.Entry{{Name: p.name, DType: dtype, Shape: p.shape, Write: func(out io.Writer) error {
				defer read()
				return j.write(ctx, p, out, dtype)
			}}}, nil
		},
	}
}

// fourBit is a weight that is written in 4 bits: quantized as bitsandbytes would from
// elements of dtype or, where it was in 4 bits, from the float32 that the sum has, as
// PEFT does, in the way that it was quantized before.
func (j *Job) fourBit(p part, dtype safetensors.DType) modelfolder.Weight {
	return modelfolder.Weight{
		Name: p.name, Source: int64(len(p.tensor.Data)), Held: quantize.PackedBytes(elements(p.shape)),
		Entries: func(ctx context.Context, read func()) ([]safetensors.Entry, error) {
			how := j.how
			if p.packed != nil {
				dtype = safetensors.F32
				how = &bindings.QuantizeOptions{Kind: p.packed.Kind, BlockSize: p.packed.BlockSize, Double: p.packed.Nested != nil}
			}
			var merged bytes.Buffer
			merged.Grow(elements(p.shape) * dtype.Size())
			if err := j.write(ctx, p, &merged, dtype); err != nil {
				return nil, err
			}
			w := quantize.Pack(safetensors.Tensor{Name: p.name, DType: dtype, Shape: p.shape, Data: merged.Bytes()}, how)
			if p.packed != nil {
				w.DType = p.packed.DType
			}
			read()
			return bnb.Entries(p.name, w), nil
		},
	}
}

// write writes the weight with the adapters' changes as elements of dtype.
func (j *Job) write(ctx context.Context, p part, out io.Writer, dtype safetensors.DType) error {
	m := matrix{name: p.name, rows: 1, cols: 1, product: j.product}
	if last := len(p.shape) - 1; last >= 0 {
		m.rows, m.cols = elements(p.shape[:last]), p.shape[last]
	}
	m.from = dense{p.tensor, m.cols}
	if p.packed != nil {
		m.from = packed{p.packed, p.packed.ExpandAbsmax()}
	}
	for _, a := range j.adapters {
		c, ok := a.change(p.layer)
		if !ok {
			continue
		}
		m.changes = append(m.changes, c)
		if a.on.BeginsWithBase() {
			whole := make([]float32, m.rows*m.cols)
			m.from.rows(whole, 0, m.rows)
			a.on.Residual(p.layer, whole)
			m.from = values{whole, m.cols}
		}
	}
	err := m.write(ctx, out, dtype)
	j.base.Release(p.tensor)
	return err
}

func elements(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
