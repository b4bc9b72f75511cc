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
	"qlora/internal/safetensors"
)

// TokenizerFiles are the files of a model folder that make up its tokenizer, with
// the chat template; a folder has some of them.
var TokenizerFiles = []string{
	"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
	"tokenizer.model", "vocab.json", "merges.txt", "chat_template.jinja",
}

// ModelFiles are the files besides config.json and the tokenizer's that belong to
// a model.
var ModelFiles = []string{"generation_config.json", "LICENSE", "LICENSE.txt"}

// A Writer writes a Hugging Face model folder: config.json, model.safetensors or
// shards with their index, and files that are copied as they are.
type Writer struct {
	Config []byte     // config.json
	Shards [][]Weight // the weights, by file
	Copies []SideFile // those that are absent are left out
}

// A SideFile is a file that belongs to a model, in a Checkpoint's Files or elsewhere.
type SideFile struct {
	In   fs.FS
	Name string
}

// SideFiles returns the files of in by their names, whether they are there or not.
func SideFiles(in fs.FS, names ...string) []SideFile {
	files := make([]SideFile, len(names))
	for i, name := range names {
		files[i] = SideFile{in, name}
	}
	return files
}

// CheckOutput returns an error where dir, which is to be made, holds something.
func CheckOutput(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("output_dir: %w", err)
	case len(entries) > 0:
		return fmt.Errorf("output_dir %s is not empty; name a new folder", dir)
	}
	return nil
}

// Write makes dir, which is absent or empty, the folder. It appears whole or not
// at all. Weights stream, but for the packed ones of a shard, which are in memory
// together. Progress, if not nil, receives
// the bytes of the weights' sources.
func (w *Writer) Write(ctx context.Context, dir string, progress func(done, total int64)) error {
	if err := os.MkdirAll(filepath.Dir(filepath.Clean(dir)), 0o755); err != nil {
		return err
	}
	return atomicfile.ReplaceDir(dir, func(tmp string) error {
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
}

// Save writes a model's tensors and its config.json into the folder dir, which is
// there. Each file appears whole or not at all.
func Save(dir string, config []byte, tensors []Entry) error {
	if err := WriteFile(filepath.Join(dir, safetensors.SingleFile), tensors, nil); err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(dir, configFile), config, 0o644)
}

// copy copies a regular file; one that is absent is left out.
func (f SideFile) copy(to string) error {
	info, err := fs.Stat(f.In, f.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s, which is copied beside the weights, is not a regular file", f.Name)
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
