package checkpoint

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"qlora/internal/mistaken"
	"qlora/internal/safetensors"
)

// A folder is a Hugging Face model folder.
type folder struct {
	dir     string
	config  []byte
	files   *safetensors.Folder
	nameSet []string            // sorted
	fourBit map[string][]string // tensors of each 4-bit weight
	parts   map[string]string   // 4-bit weight of each such tensor
}

func openFolder(dir string) (Checkpoint, error) {
	config, err := ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	if !hasSafetensors(dir) {
		return nil, mistaken.Model(dir)
	}
	files, err := safetensors.OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	f := &folder{dir: dir, config: config, files: files, fourBit: map[string][]string{}, parts: map[string]string{}}
	for _, name := range files.Names() {
		if weight, ok := weightOfState(name); ok {
			f.fourBit[weight] = partNames(files, weight)
			for _, part := range f.fourBit[weight] {
				f.parts[part] = weight
			}
		}
	}
	names := maps.Clone(f.fourBit)
	for _, name := range files.Names() {
		if _, ok := f.parts[name]; !ok {
			names[name] = nil
		}
	}
	f.nameSet = slices.Sorted(maps.Keys(names))
	return f, nil
}

// hasSafetensors reports whether dir has weights: one file, or shards with their index.
func hasSafetensors(dir string) bool {
	for _, name := range []string{safetensors.SingleFile, safetensors.IndexFile} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// Tensor returns the tensor called name. It reads and checks the parts of a 4-bit weight on
// each call.
func (f *folder) Tensor(name string) (Tensor, error) {
	if parts, ok := f.fourBit[name]; ok {
		w, err := readFourBit(f.files, name)
		if err != nil {
			return Tensor{}, err
		}
		t := w.Tensor(name)
		for _, part := range parts {
			stored, _ := f.files.Tensor(part)
			t.stored = append(t.stored, stored)
		}
		return t, nil
	}
	t, ok := f.files.Tensor(name)
	if _, part := f.parts[name]; !ok || part {
		return Tensor{}, fmt.Errorf("%s: tensor %q: %w", f.Source(), name, ErrNoTensor)
	}
	return denseOf(t), nil
}

func (f *folder) Names() []string { return f.nameSet }

func (f *folder) Shards() [][]string {
	var all [][]string
	for _, names := range f.files.Shards() {
		var shard []string
		for _, name := range names {
			weight, part := f.parts[name]
			switch {
			case !part:
				shard = append(shard, name)
			case f.fourBit[weight][0] == name: // the codes; without them Tensor returns the error
				shard = append(shard, weight)
			}
		}
		if len(shard) > 0 {
			all = append(all, shard)
		}
	}
	return all
}

func (f *folder) Release(name string) {
	parts, ok := f.fourBit[name]
	if !ok {
		parts = []string{name}
	}
	for _, part := range parts {
		if t, ok := f.files.Tensor(part); ok {
			f.files.Release(t)
		}
	}
}

func (f *folder) Source() string           { return f.files.Source() }
func (f *folder) Where(name string) string { return f.files.Where(name) }
func (f *folder) Config() []byte           { return f.config }
func (f *folder) Files() fs.FS             { return os.DirFS(f.dir) }
func (f *folder) Close() error             { return f.files.Close() }
