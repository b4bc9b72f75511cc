// Package modelfolder writes a Hugging Face model folder anew with its weights
// changed: model.safetensors or shards with their index, config.json, and the
// tokenizer's files as they were.
package modelfolder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"qlora/internal/atomicfile"
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

// A Folder is a model folder to write.
type Folder struct {
	Config []byte     // config.json
	Shards [][]Weight // the weights, by file
	Copies []string   // paths of files that are copied as they are; those that are absent are left out
}

// Check refuses to replace a folder that holds something.
func Check(dir string) error {
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
// at all. Progress, which may be nil, is told in bytes of the weights' sources.
func (f *Folder) Write(ctx context.Context, dir string, progress func(done, total int64)) error {
	if err := os.MkdirAll(filepath.Dir(filepath.Clean(dir)), 0o755); err != nil {
		return err
	}
	return atomicfile.ReplaceDir(dir, func(tmp string) error {
		if err := f.writeWeights(ctx, tmp, progress); err != nil {
			return err
		}
		for _, path := range f.Copies {
			if err := copyFile(path, filepath.Join(tmp, filepath.Base(path))); err != nil {
				return err
			}
		}
		return os.WriteFile(filepath.Join(tmp, "config.json"), f.Config, 0o644)
	})
}

// Paths are names in the folder dir.
func Paths(dir string, names []string) []string {
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = filepath.Join(dir, name)
	}
	return paths
}

// copyFile copies a regular file; one that is absent is left out.
func copyFile(from, to string) error {
	info, err := os.Stat(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", from)
	}
	in, err := os.Open(from)
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
		return fmt.Errorf("copy %s: %w", from, err)
	}
	return out.Close()
}
