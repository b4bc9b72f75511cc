package checkpoint

import (
	"bytes"
	"context"
	"io"

	"qlora/internal/safetensors"
)

// A Weight is one weight to write: dense if Write is set, in 4 bits if Pack is set, else a copy
// of a tensor.
type Weight struct {
	Name   string
	DType  DType // of the elements of a dense weight
	Shape  []int
	Source int64 // bytes read for it, the unit of progress

	// Write writes the elements, little-endian and row-major.
	Write func(ctx context.Context, out io.Writer) error
	// Pack returns the weight in 4 bits. It is called before the weight's shard is written, so
	// all codes of a shard are in memory at once.
	Pack func(ctx context.Context) (*FourBit, error)

	copied  Tensor
	where   string // of the copied tensor, if its elements must be finite
	release func()
}

// Copy returns a weight that copies the tensor called name as base stores it.
func Copy(base Tensors, name string) (Weight, error) {
	t, err := base.Tensor(name)
	if err != nil {
		return Weight{}, err
	}
	w := Weight{Name: name, DType: t.Plain(), Shape: t.Shape, Source: t.Bytes()}
	release := func() { base.Release(name) }
	if t.IsDense() || t.FourBit() != nil {
		w.copied, w.release = t, release
		return w, nil
	}
	// safetensors has no such encoding: write the values.
	w.Write = func(ctx context.Context, out io.Writer) error {
		defer release()
		if err := t.CheckFinite(base.Where(name)); err != nil {
			return err
		}
		return writeFloats(ctx, out, t, w.DType)
	}
	return w, nil
}

// CopyFinite returns a weight that copies like Copy. Writing it returns a DamagedError
// if an element is not finite.
func CopyFinite(base Tensors, name string) (Weight, error) {
	w, err := Copy(base, name)
	w.where = base.Where(name)
	return w, err
}

// writeFloats writes the elements of t in dtype, a piece at a time.
func writeFloats(ctx context.Context, out io.Writer, t Tensor, dtype DType) error {
	const piece = 1 << 18 // elements
	values, n := make([]float32, min(piece, t.Elements())), t.Elements()
	var data []byte
	for from := 0; from < n; from += piece {
		if err := ctx.Err(); err != nil {
			return err
		}
		part := values[:min(piece, n-from)]
		t.Floats(part, from)
		data = dtype.AppendFloats(data[:0], part)
		if _, err := out.Write(data); err != nil {
			return err
		}
	}
	return nil
}

// bytes returns an upper bound of the weight's size in its shard.
func (w *Weight) bytes() int64 {
	switch {
	case w.Write != nil:
		return int64(product(w.Shape)) * int64(w.DType.Size())
	case w.Pack != nil:
		return packedBytes(product(w.Shape))
	}
	return w.copied.Bytes()
}

// entries returns the tensors of the weight's file. It calls read once, after the source was
// read.
func (w *Weight) entries(ctx context.Context, read func()) ([]safetensors.Entry, error) {
	switch {
	case w.Write != nil:
		return []safetensors.Entry{{Name: w.Name, DType: safetensors.DType(w.DType), Shape: w.Shape, Write: func(out io.Writer) error {
			defer read()
			return w.Write(ctx, out)
		}}}, nil
	case w.Pack != nil:
		packed, err := w.Pack(ctx)
		if err != nil {
			return nil, err
		}
		read()
		return fourBitEntries(w.Name, packed), nil
	}
	stored, err := w.copied.asStored()
	if err != nil {
		return nil, err
	}
	left := len(stored)
	entries := make([]safetensors.Entry, len(stored))
	for i, t := range stored {
		entries[i] = safetensors.Entry{Name: t.Name, DType: t.DType, Shape: t.Shape, Write: func(out io.Writer) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if w.where != "" && left == len(stored) {
				if err := w.copied.CheckFinite(w.where); err != nil {
					return err
				}
			}
			_, err := out.Write(t.Data)
			if left--; left == 0 {
				w.release()
				read()
			}
			return err
		}}
	}
	return entries, nil
}

// asStored returns the tensors that a safetensors file holds, or would hold, for t. For blocks
// of a GGUF file it returns these, and for any other encoding the first values.
func (t Tensor) asStored() ([]safetensors.Tensor, error) {
	if t.stored != nil {
		return t.stored, nil
	}
	switch e := t.Encoding.(type) {
	case Dense:
		return []safetensors.Tensor{{Name: t.Name, DType: safetensors.DType(e.DType), Shape: t.Shape, Data: e.Data}}, nil
	case *Blocks:
		return []safetensors.Tensor{{Name: t.Name, DType: safetensors.DType(e.Type()), Shape: t.Shape, Data: e.data}}, nil
	case *FourBit:
		var all []safetensors.Tensor
		for _, entry := range fourBitEntries(t.Name, e) {
			var data bytes.Buffer
			if err := entry.Write(&data); err != nil {
				return nil, err
			}
			all = append(all, safetensors.Tensor{Name: entry.Name, DType: entry.DType, Shape: entry.Shape, Data: data.Bytes()})
		}
		return all, nil
	}
	values := make([]float32, min(t.Elements(), 64))
	t.Floats(values, 0)
	return []safetensors.Tensor{{Name: t.Name, DType: safetensors.DType(t.DType), Shape: t.Shape, Data: t.DType.AppendFloats(nil, values)}}, nil
}
