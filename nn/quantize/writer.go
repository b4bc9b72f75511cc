package quantize

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"qlora/bindings"
	"qlora/internal/bnb"
	"qlora/internal/safetensors"
)

// shardBytes is what a shard holds at most, unless one tensor is larger. It
// bounds the memory that is needed: safetensors puts a weight's scales far from
// its codes, so the 4-bit weights of a shard are ready before it is written.
const shardBytes = 1 << 30

// writer writes a model's tensors, those of linear in 4 bits.
type writer struct {
	base     *safetensors.Folder
	device   *bindings.QuantizeOptions
	linear   map[string]bool // tensor names
	progress func(done, total int64)

	done, total int64
}

// index is model.safetensors.index.json.
type index struct {
	Metadata  map[string]int64  `json:"metadata"`
	WeightMap map[string]string `json:"weight_map"`
}

// write puts the model's weights into dir: in one file, or in shards of limit
// bytes with an index.
func (w *writer) write(ctx context.Context, dir string, limit int64) error {
	shards := w.shards(limit)
	ix := index{Metadata: map[string]int64{}, WeightMap: map[string]string{}}
	for i, names := range shards {
		file := safetensors.SingleFile
		if len(shards) > 1 {
			file = fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(shards))
		}
		entries, err := w.entries(ctx, names)
		if err != nil {
			return err
		}
		for _, e := range entries {
			ix.WeightMap[e.Name] = file
			size := int64(e.DType.Size())
			for _, n := range e.Shape {
				size *= int64(n)
			}
			ix.Metadata["total_size"] += size
		}
		if err := safetensors.Write(filepath.Join(dir, file), entries, nil); err != nil {
			return err
		}
	}
	if len(shards) == 1 {
		return nil
	}
	text, err := json.MarshalIndent(ix, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, safetensors.IndexFile), append(text, '\n'), 0o644)
}

// shards splits the tensors, in the order of their names, into runs whose bytes
// in 4 bits are at most limit. It counts the bytes to read on the way.
func (w *writer) shards(limit int64) [][]string {
	var all [][]string
	var names []string
	var size int64
	for _, name := range w.base.Names() {
		t, _ := w.base.Tensor(name)
		w.total += int64(len(t.Data))
		held := int64(len(t.Data))
		if w.linear[name] {
			held = int64(t.Elements()) * 5 / 8 // codes and at most a float32 a block of 32
		}
		if size > 0 && size+held > limit {
			all, names, size = append(all, names), nil, 0
		}
		names = append(names, name)
		size += held
	}
	return append(all, names)
}

// entries are the tensors of one shard: the 4-bit ones are quantized here, the
// others are copied from the mapped source when the file is written.
func (w *writer) entries(ctx context.Context, names []string) ([]safetensors.Entry, error) {
	var all []safetensors.Entry
	for _, name := range names {
		t, _ := w.base.Tensor(name)
		if !w.linear[name] {
			all = append(all, safetensors.Entry{Name: name, DType: t.DType, Shape: t.Shape, Write: func(out io.Writer) error {
				return w.copy(ctx, out, t)
			}})
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		all = append(all, bnb.Entries(name, weight(t, w.device))...)
		w.read(t)
	}
	return all, nil
}

func (w *writer) copy(ctx context.Context, out io.Writer, t safetensors.Tensor) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := out.Write(t.Data)
	w.read(t)
	return err
}

// read notes that t is done with.
func (w *writer) read(t safetensors.Tensor) {
	w.base.Release(t)
	w.done += int64(len(t.Data))
	if w.progress != nil {
		w.progress(w.done, w.total)
	}
}
