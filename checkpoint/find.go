package checkpoint

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"qlora/internal/mistaken"
	"qlora/tokenizer"
)

// projector matches the names of GGUF files with the vision part of a model.
var projector = regexp.MustCompile(`(?i)^mmproj|[-.]mmproj`)

// isGGUF reports whether path is a file in GGUF's format, by its name or its first bytes.
func isGGUF(path string) bool {
	info, err := os.Stat(path)
	if err != nil || info.IsDir() {
		return false
	}
	if strings.EqualFold(filepath.Ext(path), ".gguf") {
		return true
	}
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	head := make([]byte, 4)
	_, err = io.ReadFull(file, head)
	return err == nil && string(head) == "GGUF"
}

// HasWeights reports whether path, a folder or a file, has weights: one file of safetensors,
// shards with their index, or GGUF files.
func HasWeights(path string) bool {
	if hasSafetensors(path) {
		return true
	}
	found, err := findGGUF(path)
	return found != "" || errors.Is(err, errSeveral)
}

// Files returns the files next to the weights of the model at path, as Checkpoint.Files does,
// without opening a folder's weights. A folder that is no model has its files, too.
func Files(path string) (fs.FS, error) {
	found, err := findGGUF(path)
	switch {
	case errors.Is(err, errSeveral):
		return nil, mistaken.Model(path)
	case err != nil:
		return nil, err
	case found == "":
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return nil, mistaken.Model(path)
		}
		return os.DirFS(path), nil
	}
	m, err := newGGUF(found)
	if err != nil {
		return nil, err
	}
	return m.files, m.Close()
}

// Tokenizer reads the tokenizer of the model, or of the adapter, at path.
func Tokenizer(path string) (*tokenizer.Tokenizer, error) {
	files, err := Files(path)
	if err != nil {
		return nil, err
	}
	return tokenizer.LoadFiles(files, path)
}

// HasTokenizer reports whether the model or the adapter at path has a tokenizer.
func HasTokenizer(path string) bool {
	files, err := Files(path)
	return err == nil && tokenizer.ExistsIn(files)
}
