package gguf

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
)

// The keys of a split model's files, as llama-gguf-split writes them.
const (
	splitNo      = "split.no"            // this file's number, from 0
	splitCount   = "split.count"         // files
	splitTensors = "split.tensors.count" // tensors of all files
)

// maxParts bounds the files of a split model; a name has five digits.
const maxParts = 10_000

// partName is the form of a split file's name.
var partName = regexp.MustCompile(`^(.*)-(\d{5})-of-(\d{5})\.gguf$`)

// FirstPart returns the path of the first file of the split model that path, by its name, is a
// part of, and the number of files. It returns path and 1 for any other name.
func FirstPart(path string) (first string, parts int) {
	m := partName.FindStringSubmatch(filepath.Base(path))
	if m == nil {
		return path, 1
	}
	parts, _ = strconv.Atoi(m[3]) // digits
	return filepath.Join(filepath.Dir(path), fmt.Sprintf("%s-%05d-of-%s.gguf", m[1], 1, m[3])), parts
}

// openRest opens the other files of a split model.
func (f *File) openRest(path string) error {
	count, ok := f.metadata.Int(splitCount)
	if !ok || count == 0 || count == 1 {
		return nil
	}
	if no, _ := f.metadata.Int(splitNo); no != 0 {
		first, _ := FirstPart(path)
		return fmt.Errorf("%s: it is part %d of %d of a split model: give the first, %s", path, no+1, count, filepath.Base(first))
	}
	m := partName.FindStringSubmatch(filepath.Base(path))
	if m == nil || m[2] != "00001" || m[3] != fmt.Sprintf("%05d", count) || count > maxParts {
		return fmt.Errorf("%s: it is the first of the %d files of a split model, so its name must end in -00001-of-%05d.gguf: give the files their names back", path, count, count)
	}
	for i := int64(1); i < count; i++ {
		next := filepath.Join(filepath.Dir(path), fmt.Sprintf("%s-%05d-of-%05d.gguf", m[1], i+1, count))
		p, h, err := openPart(next)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: its part %s is missing: download it too", path, filepath.Base(next))
		}
		if err != nil {
			return err
		}
		if err := f.add(p, h); err != nil {
			return err
		}
		no, _ := h.metadata.Int(splitNo)
		of, _ := h.metadata.Int(splitCount)
		if no != i || of != count {
			return fmt.Errorf("%s: its header says that it is part %d of %d: it belongs to another model", next, no+1, of)
		}
	}
	if n, ok := f.metadata.Int(splitTensors); ok && n != int64(len(f.tensors)) {
		return fmt.Errorf("%s: the model has %d tensors, and its %d files have %d: a file belongs to another model, so download them again", path, n, count, len(f.tensors))
	}
	return nil
}
