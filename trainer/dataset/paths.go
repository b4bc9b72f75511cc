package dataset

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A source is one dataset as named: a file, a folder of files, a pattern such as
// data/*.jsonl, or Stdin.
type source struct {
	entry
	files   []string
	sizes   []int64
	skipped []string // entries of a folder that are not read
	splits  string   // how the splits of a folder are used, in a line; "" without splits
}

// findSources returns the files of each dataset, for a purpose.
func findSources(names []string, use Purpose) ([]source, error) {
	sources := make([]source, len(names))
	for i, name := range names {
		s := &sources[i]
		var err error
		if s.entry, err = entryOf(name); err != nil {
			return nil, err
		}
		for _, path := range s.paths {
			if err := s.find(path, use); err != nil {
				return nil, err
			}
		}
	}
	return sources, nil
}

// find adds the files of a path.
func (s *source) find(path string, use Purpose) error {
	if path == Stdin {
		if err := stdin.fill(); err != nil {
			return err
		}
		s.files, s.sizes = append(s.files, path), append(s.sizes, stdin.size)
		return nil
	}
	_, err := os.Stat(path)
	dir, choice, isFolder := folderOf(path)
	switch {
	case isFolder:
		return s.folder(dir, choice, use)
	case os.IsNotExist(err) && strings.ContainsAny(path, "*?["):
		return s.match(path)
	case err != nil:
		return err
	case s.split != "" && s.split != "train":
		return fmt.Errorf("%s: a file has one split, train; name the file of the split %s", path, s.split)
	}
	return s.add(path)
}

// add adds a file, which must be readable by its extension.
func (s *source) add(path string) error {
	if _, ok := fileTypeOf(path); !ok {
		return fmt.Errorf("%s: a dataset file's name must end in one of %s, or in %s after one of those except .parquet, .arrow and .feather", path, endings(), compressionEndings())
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: not a regular file; name a file of records", path)
	}
	s.files, s.sizes = append(s.files, path), append(s.sizes, info.Size())
	return nil
}

// match adds the files of a pattern, in the order of their names. It skips folders and
// files of other kinds that match, as in a folder.
func (s *source) match(pattern string) error {
	files, err := matching(pattern)
	if err != nil {
		return fmt.Errorf("%s: %w", pattern, err)
	}
	if len(files) == 0 {
		return fmt.Errorf("%s: no such file, and none matches", pattern)
	}
	before := len(s.files)
	for _, file := range files {
		info, err := os.Stat(file)
		if _, ok := fileTypeOf(file); err != nil || !ok || !info.Mode().IsRegular() {
			s.skip(file)
			continue
		}
		if err := s.add(file); err != nil {
			return err
		}
	}
	if len(s.files) == before {
		return s.add(files[0])
	}
	return nil
}

// matching returns the paths that a pattern matches, in order. As in Python's glob, ** is
// any folders, and hidden files match only a pattern that begins with a dot.
func matching(pattern string) ([]string, error) {
	before, _, deep := strings.Cut(pattern, "**")
	if !deep {
		files, err := filepath.Glob(pattern)
		if !strings.HasPrefix(filepath.Base(pattern), ".") {
			files = slices.DeleteFunc(files, func(file string) bool { return strings.HasPrefix(filepath.Base(file), ".") })
		}
		return files, err
	}
	below := strings.LastIndexByte(before, filepath.Separator) + 1
	dirs, err := filepath.Glob(filepath.Clean(pattern[:below]))
	if err != nil {
		return nil, err
	}
	is, err := globPattern(filepath.ToSlash(pattern[below:]))
	if err != nil {
		return nil, err
	}
	var all []string
	for _, dir := range dirs {
		names, err := filesBelow(dir)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if is.MatchString(name) {
				all = append(all, filepath.Join(dir, filepath.FromSlash(name)))
			}
		}
	}
	return all, nil
}

// folder adds the files of a folder: those of the wanted splits if it has splits, or of
// its subfolders if it has no others.
func (s *source) folder(dir string, choice []string, use Purpose) error {
	f, choice, err := findFolder(dir, choice)
	if err != nil {
		return err
	}
	if s.split != "" && (f != nil || s.split != "train") {
		choice = append(choice, s.split)
	}
	if err := f.choose(dir, choice); err != nil {
		return err
	}
	if f != nil {
		return s.useSplits(f, use)
	}
	if err := s.plainFolder(dir); !errors.Is(err, errNoFiles) {
		return err
	}
	f, err = deepFolder(dir)
	switch {
	case err != nil:
		return err
	case f == nil:
		return fmt.Errorf("%s: %w one of %s", dir, errNoFiles, endings())
	}
	s.skipped = nil
	return s.useSplits(f, use)
}

var errNoFiles = errors.New("the folder has no file whose name ends in")

// skip notes an entry of a folder that is not read.
func (s *source) skip(path string) {
	if !isBeside(path) {
		s.skipped = append(s.skipped, path)
	}
}

// plainFolder adds the readable files of a folder, in the order of their names. It skips
// other files, such as a README, and subfolders.
func (s *source) plainFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		info, err := os.Stat(path)
		if _, ok := fileTypeOf(path); err != nil || !info.Mode().IsRegular() || !ok || isNotData(e.Name()) {
			s.skip(path)
			continue
		}
		if err := s.add(path); err != nil {
			return err
		}
	}
	if len(s.files) == 0 {
		return fmt.Errorf("%s: %w one of %s", dir, errNoFiles, endings())
	}
	return nil
}
