package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"qlora/internal/atomicfile"
	"qlora/internal/diskfull"
	"qlora/internal/place"
	"qlora/internal/safetensors"
	"qlora/option"
)

// TokenizerFiles lists the tokenizer and chat template files of a model folder; a folder has
// some of them.
var TokenizerFiles = []string{
	"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
	"tokenizer.model", "vocab.json", "merges.txt", "chat_template.jinja", "tekken.json", "tokenizer.model.v1", "tokenizer.model.v2",
	"tokenizer.model.v3", "tokenizer.model.v7", "tokenizer.model.v7m1", "tiktoken.model", "qwen.tiktoken", "cl100k_base.tiktoken", "o200k_base.tiktoken",
}

// ModelFiles lists the other files that belong to a model, besides config.json.
var ModelFiles = []string{"generation_config.json", "LICENSE", "LICENSE.txt"}

// A Writer writes a Hugging Face model folder: config.json, model.safetensors or shards with
// their index, and files copied unchanged.
type Writer struct {
	Config []byte     // config.json
	Shards [][]Weight // the weights, by file
	Copies []SideFile // absent files are skipped
}

// A SideFile is a file that belongs to a model, in a Checkpoint's Files or elsewhere.
type SideFile struct {
	In   fs.FS
	Name string
	Data []byte // the content; nil: that of the file in In
}

// SideFiles returns the files of in by their names; they need not exist.
func SideFiles(in fs.FS, names ...string) []SideFile {
	files := make([]SideFile, len(names))
	for i, name := range names {
		files[i] = SideFile{In: in, Name: name}
	}
	return files
}

// CheckOutput returns an error if dir, a folder to be created, is not empty.
func CheckOutput(dir string) error {
	if err := place.CheckCreate("output_dir", dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return option.Errorf("output_dir", dir, "that is not a folder that can be read: name a new folder")
	case len(entries) > 0:
		return option.Errorf("output_dir", dir, "it is not empty: name a new folder")
	}
	return nil
}

// Write creates dir, which must be absent or empty, atomically. Weights stream, except for
// 4-bit ones: those of a shard are in memory together. Progress, if not nil, receives the bytes
// read of the weights' sources and their total.
func (w *Writer) Write(ctx context.Context, dir string, progress func(done, total int64)) error {
	if err := os.MkdirAll(filepath.Dir(filepath.Clean(dir)), 0o755); err != nil {
		return place.NotCreated("output_dir", dir, err)
	}
	err := atomicfile.ReplaceDir(dir, func(tmp string) error {
		if err := w.writeWeights(ctx, tmp, progress); err != nil {
			return err
		}
		for _, file := range w.Copies {
			if err := file.copy(filepath.Join(tmp, file.Name)); err != nil {
				return err
			}
		}
		return os.WriteFile(filepath.Join(tmp, configFile), w.Config, 0o644)
	})
	if diskfull.Is(err) {
		return diskfull.Errorf(err, "the disk of %s is full, so the model was not written, and nothing of it is left: free some space, or choose another `output_dir`", filepath.Dir(filepath.Clean(dir)))
	}
	return err
}

// Save writes a model's tensors and its config.json into the existing folder dir. Each file is
// written atomically.
func Save(dir string, config []byte, tensors []Entry) error {
	if err := WriteFile(filepath.Join(dir, safetensors.SingleFile), tensors, nil); err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(dir, configFile), config, 0o644)
}

// copy copies a regular file and skips an absent one.
func (f SideFile) copy(to string) error {
	if f.Data != nil {
		return os.WriteFile(to, f.Data, 0o644)
	}
	info, err := fs.Stat(f.In, f.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("copy %s: not a regular file", f.Name)
	}
	in, err := f.In.Open(f.Name)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return fmt.Errorf("copy %s: %w", f.Name, err)
	}
	return out.Close()
}
