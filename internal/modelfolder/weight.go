package modelfolder

import (
	"context"
	"io"

	"qlora/internal/safetensors"
)

// A Weight is one weight of the model that is written: one tensor, or the several
// of a 4-bit weight.
type Weight struct {
	Name   string
	Source int64 // bytes that are read for it
	Held   int64 // bytes that it takes in its shard, at most
	// Entries are its tensors. It is called when the weight's shard is written, so
	// what it makes ahead of the entries' Write functions is in memory with that of
	// the whole shard. read is to be called once, when the source was read.
	Entries func(ctx context.Context, read func()) ([]safetensors.Entry, error)
}

// Copy is the weight that holds the tensors of base under names as they are. The
// first name is the weight's.
func Copy(base *safetensors.Folder, names ...string) Weight {
	w := Weight{Name: names[0]}
	for _, name := range names {
		t, _ := base.Tensor(name)
		w.Source += int64(len(t.Data))
	}
	w.Held = w.Source
	w.Entries = func(ctx context.Context, read func()) ([]safetensors.Entry, error) {
		left := len(names)
		var all []safetensors.Entry
		for _, name := range names {
			t, _ := base.Tensor(name)
			all = append(all, safetensors.Entry{Name: name, DType: t.DType, Shape: t.Shape, Write: func(out io.Writer) error {
				if err := ctx.Err(); err != nil {
					return err
				}
				_, err := out.Write(t.Data)
				base.Release(t)
				if left--; left == 0 {
					read()
				}
				return err
			}})
		}
		return all, nil
	}
	return w
}
