package safetensors

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"qlora/internal/gitlfs"
)

// Hugging Face's names of a folder's weights.
const (
	SingleFile = "model.safetensors"
	IndexFile  = "model.safetensors.index.json"
)

// A Folder holds a model folder's open weights: one File, or the shards that an index
// lists. Its methods are those of a File.
type Folder struct {
	shards  []*File
	home    map[string]*File // by tensor
	nameSet []string         // sorted
	source  string
}

// OpenFolder opens the weights in dir: model.safetensors or, without it, the shards of
// model.safetensors.index.json, which must be in dir and hold the tensors that the index
// lists. It returns fs.ErrNotExist if dir has neither.
func OpenFolder(dir string) (*Folder, error) {
	single, err := Open(filepath.Join(dir, SingleFile))
	if err == nil {
		return folderOf(single, filepath.Join(dir, SingleFile)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	path := filepath.Join(dir, IndexFile)
	text, err := readBounded(path, maxHeader)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: neither %s nor %s exists: %w", dir, SingleFile, IndexFile, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	weightMap, err := parseIndex(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return openShards(dir, weightMap)
}

func folderOf(f *File, path string) *Folder {
	folder := &Folder{source: path, shards: []*File{f}, home: map[string]*File{}, nameSet: f.Names()}
	for _, name := range f.Names() {
		folder.home[name] = f
	}
	return folder
}

// parseIndex reads an index and returns the shard of each tensor.
func parseIndex(text []byte) (map[string]string, error) {
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(text, &index); err != nil {
		return nil, err
	}
	if len(index.WeightMap) == 0 {
		return nil, errors.New("weight_map, which maps tensors to files, is missing")
	}
	for name, shard := range index.WeightMap {
		// Links are followed, because the Hub's cache consists of them; names that leave
		// the folder are refused.
		if !filepath.IsLocal(shard) {
			return nil, fmt.Errorf("tensor %q is in %q, which is outside the folder", name, shard)
		}
	}
	return index.WeightMap, nil
}

func openShards(dir string, weightMap map[string]string) (*Folder, error) {
	folder := &Folder{source: filepath.Join(dir, IndexFile), home: make(map[string]*File, len(weightMap)), nameSet: slices.Sorted(maps.Keys(weightMap))}
	if err := folder.open(dir, weightMap); err != nil {
		_ = folder.Close()
		return nil, err
	}
	return folder, nil
}

func (f *Folder) open(dir string, weightMap map[string]string) error {
	open := map[string]*File{}
	for _, name := range f.nameSet {
		shard := weightMap[name]
		file, ok := open[shard]
		if !ok {
			var err error
			if file, err = Open(filepath.Join(dir, shard)); errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%s lists %s, which is missing: download it too", filepath.Join(dir, IndexFile), shard)
			} else if err != nil {
				return err
			}
			open[shard] = file
			f.shards = append(f.shards, file)
		}
		if _, ok := file.Tensor(name); !ok {
			return fmt.Errorf("%s: tensor %q is missing from %s", filepath.Join(dir, IndexFile), name, shard)
		}
		f.home[name] = file
	}
	return nil
}

// readBounded reads a file of at most limit bytes.
func readBounded(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	defer file.Close()
	if err := gitlfs.Check(path); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("more than %d bytes", limit)
	}
	return text, nil
}

// Tensor returns the tensor called name, and whether there is one.
func (f *Folder) Tensor(name string) (Tensor, bool) {
	file, ok := f.home[name]
	if !ok {
		return Tensor{}, false
	}
	return file.Tensor(name)
}

// Names returns the tensors' names, sorted. Callers must not modify the slice.
func (f *Folder) Names() []string { return f.nameSet }

// Shards returns the tensors' names by file, sorted within a file.
func (f *Folder) Shards() [][]string {
	all := make([][]string, len(f.shards))
	for i, shard := range f.shards {
		for _, name := range f.nameSet {
			if f.home[name] == shard {
				all[i] = append(all[i], name)
			}
		}
	}
	return all
}

// Source returns the file that lists the tensors: the only one, or the index.
func (f *Folder) Source() string { return f.source }

// Metadata returns the metadata of the first shard.
func (f *Folder) Metadata() map[string]string { return f.shards[0].Metadata() }

// Where returns the place of the tensor called name, for messages.
func (f *Folder) Where(name string) string {
	if file, ok := f.home[name]; ok {
		return file.Where(name)
	}
	return fmt.Sprintf("tensor %q", name)
}

// Release removes t's pages from resident memory, as a File's does.
func (f *Folder) Release(t Tensor) {
	if file, ok := f.home[t.Name]; ok {
		file.Release(t)
	}
}

// Close unmaps every shard.
func (f *Folder) Close() error {
	var all []error
	for _, shard := range f.shards {
		all = append(all, shard.Close())
	}
	return errors.Join(all...)
}
