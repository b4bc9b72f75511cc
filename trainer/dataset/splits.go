package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// The splits of a dataset's folder. A folder has them if its files, or its subfolders,
// are named train and at least one of the others, as in repositories of the Hugging Face
// Hub: train-00000-of-00002.parquet, data_test.jsonl, validation/0.json.
var splitNames = []struct {
	split string
	words []string
}{
	{"train", []string{"train", "training"}},
	{"validation", []string{"validation", "valid", "val", "dev", "eval", "evaluation"}},
	{"test", []string{"test", "testing"}},
}

// splitOf returns the split that a file's or folder's name says, or "": that of the first
// word that names one.
func splitOf(name string) string {
	for word := range strings.FieldsFuncSeq(strings.ToLower(name), func(c rune) bool { return !unicode.IsLetter(c) }) {
		for _, s := range splitNames {
			if slices.Contains(s.words, word) {
				return s.split
			}
		}
	}
	return ""
}

// splits returns the files of a folder's splits, in the order of their names, and the
// entries that belong to none; or nil if the folder has no splits.
func splits(dir string, entries []os.DirEntry) (files map[string][]string, others []string) {
	files = map[string][]string{}
	for _, e := range entries {
		path, split := filepath.Join(dir, e.Name()), splitOf(e.Name())
		info, err := os.Stat(path)
		_, readable := fileTypeOf(path)
		switch {
		case strings.HasPrefix(e.Name(), "."):
		case err != nil, split == "", !info.IsDir() && (!readable || !info.Mode().IsRegular()):
			others = append(others, path)
		case info.IsDir():
			var own source
			if own.plainFolder(path) != nil { // such as a folder of tests of a program
				others = append(others, path)
				continue
			}
			files[split] = append(files[split], own.files...)
			others = append(others, own.skipped...)
		default:
			files[split] = append(files[split], path)
		}
	}
	if len(files["train"]) == 0 || len(files) == 1 {
		return nil, nil
	}
	return files, others
}

// splitFolder adds the files of a folder's train split, or for evaluation those of the others,
// and reports whether the folder has splits.
func (s *source) splitFolder(dir string, entries []os.DirEntry, evaluation bool) (bool, error) {
	files, others := splits(dir, entries)
	if files == nil {
		return false, nil
	}
	var used, left []string
	for _, kind := range splitNames {
		own := files[kind.split]
		if len(own) == 0 {
			continue
		}
		named := fmt.Sprintf("%s (%d files)", kind.split, len(own))
		if !s.wants(kind.split, evaluation) {
			left = append(left, named)
			continue
		}
		used = append(used, named)
		for _, path := range own {
			if err := s.add(path); err != nil {
				return false, err
			}
		}
	}
	for _, path := range others {
		named, _ := fileTypeOf(path)
		if named.ending != "" {
			left = append(left, path+", which is in no split")
			continue
		}
		s.skipped = append(s.skipped, path)
	}
	purpose := "training"
	if evaluation {
		purpose = "evaluation"
	}
	s.splits = fmt.Sprintf("%s: a folder of splits: %s for %s; not used for it: %s", dir, strings.Join(used, ", "), purpose, strings.Join(left, ", "))
	return true, nil
}

// EvaluationSplits returns those of the paths that are folders with a validation or test
// split besides train. Load reads these splits with Options.Evaluation, and train
// without.
func EvaluationSplits(paths []string) ([]string, error) {
	var folders []string
	for _, path := range PathsOf(paths) {
		if info, err := os.Stat(path); path == Stdin || err != nil || !info.IsDir() {
			continue
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, err
		}
		if files, _ := splits(path, entries); files != nil {
			folders = append(folders, path)
		}
	}
	return folders, nil
}
