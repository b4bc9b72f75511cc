package checkpoint

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"qlora/internal/safetensors"
)

// index is model.safetensors.index.json.
type index struct {
	Metadata  map[string]int64  `json:"metadata"`
	WeightMap map[string]string `json:"weight_map"`
}

// Split cuts weights, in order, into shards of at most limit bytes. A larger weight gets its
// own shard.
func Split(weights []Weight, limit int64) [][]Weight {
	var all [][]Weight
	var shard []Weight
	var size int64
	for _, w := range weights {
		if size > 0 && size+w.bytes() > limit {
			all, shard, size = append(all, shard), nil, 0
		}
		shard = append(shard, w)
		size += w.bytes()
	}
	return append(all, shard)
}

// writeWeights writes the weights into dir: one file, or shards with an index.
func (w *Writer) writeWeights(ctx context.Context, dir string, progress func(done, total int64)) error {
	var done, total int64
	for _, shard := range w.Shards {
		for _, weight := range shard {
			total += weight.Source
		}
	}
	ix := index{Metadata: map[string]int64{}, WeightMap: map[string]string{}}
	for i, shard := range w.Shards {
		file := safetensors.SingleFile
		if len(w.Shards) > 1 {
			file = fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(w.Shards))
		}
		var entries []safetensors.Entry
		for _, weight := range shard {
			if err := ctx.Err(); err != nil {
				return err
			}
			own, err := weight.entries(ctx, func() {
				done += weight.Source
				if progress != nil {
					progress(done, total)
				}
			})
			if err != nil {
				return err
			}
			entries = append(entries, own...)
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
	if len(w.Shards) == 1 {
		return nil
	}
	text, err := json.MarshalIndent(ix, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, safetensors.IndexFile), append(text, '\n'), 0o644)
}
