package dataset

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode"
)

// A splitName lists the words that name a split.
type splitName struct {
	split string
	words []string
}

// The splits of a dataset's folder. A folder has them if its files, or its subfolders,
// are named by at least two of them, of which one is train or both others are, as in repositories of the Hugging Face
// Hub: train-00000-of-00002.parquet, data_test.jsonl, validation/0.json.
var splitNames = []splitName{
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

// useSplits adds the files of a folder's splits for a purpose, and says which they are.
func (s *source) useSplits(f *folder, use Purpose) error {
	chosen, err := f.chosen(use)
	if err != nil {
		return err
	}
	var used, left []string
	for _, one := range f.splits {
		named := fmt.Sprintf("%s (%d files)", one.name, len(one.files))
		if !slices.ContainsFunc(chosen, func(c split) bool { return c.name == one.name }) {
			left = append(left, named)
			continue
		}
		used = append(used, named)
		for _, path := range one.files {
			if err := s.add(path); err != nil {
				return err
			}
		}
	}
	for _, path := range f.others {
		if named, _ := fileTypeOf(path); named.ending != "" && !isNotData(path) {
			left = append(left, path+", which is in no split")
			continue
		}
		s.skip(path)
	}
	if f.whole {
		return nil
	}
	aim := "training"
	if use != ForTraining {
		aim = "evaluation"
	}
	s.splits = fmt.Sprintf("%s: a folder of splits: %s for %s", f.name, strings.Join(used, ", "), aim)
	if len(left) > 0 {
		s.splits += "; not used for it: " + strings.Join(left, ", ")
	}
	return nil
}

// EvaluationSplits returns those of the datasets that are folders with a validation or
// test split besides train. Load reads these splits with Options.Evaluation, and train
// without.
func EvaluationSplits(names []string) ([]string, error) {
	var folders []string
	for _, name := range names {
		e, err := entryOf(name)
		if err != nil {
			return nil, err
		}
		dir, choice, ok := folderOf(e.paths[0])
		if !ok || e.split != "" || len(e.paths) > 1 {
			continue
		}
		f, err := readFolder(dir, choice)
		if err != nil {
			return nil, err
		}
		if f == nil || len(f.splits) == 1 {
			continue
		}
		for _, kind := range wanted[ForEvaluation] {
			if own, _ := f.ofKind(kind); own != nil {
				folders = append(folders, name)
				break
			}
		}
	}
	return folders, nil
}

// folderOf returns the folder that a path names, and the configuration or split, or both,
// after a colon.
func folderOf(path string) (dir string, choice []string, ok bool) {
	for dir = path; path != Stdin; {
		if info, err := os.Stat(dir); err == nil {
			return dir, choice, info.IsDir()
		}
		i := strings.LastIndexByte(dir, ':')
		if i <= 0 || len(choice) == 2 {
			break
		}
		dir, choice = dir[:i], append([]string{dir[i+1:]}, choice...)
	}
	return "", nil, false
}
