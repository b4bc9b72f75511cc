package dataset

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A split is a named part of a folder's dataset.
type split struct {
	name  string
	files []string
}

// A folder is a dataset's folder that names its parts: one that datasets saved, one of
// the Hub with a README.md that has configurations, or one whose files and subfolders
// are named by their splits.
type folder struct {
	name   string // for messages: its path, and the configuration
	splits []split
	others []string // entries that belong to no split
	whole  bool     // the one split is all that there is, and nothing names it
}

// readFolder returns the parts of a folder, or nil if it has none. choice is a
// configuration, a split, or both; the split, if one is chosen, is the only one left.
func readFolder(dir string, choice []string) (*folder, error) {
	f, choice, err := findFolder(dir, choice)
	if err != nil {
		return nil, err
	}
	return f, f.choose(dir, choice)
}

// choose leaves only the split that a choice names. Without a choice all stay.
func (f *folder) choose(dir string, choice []string) error {
	switch {
	case len(choice) == 0:
		return nil
	case f == nil || len(choice) > 1:
		return fmt.Errorf("%s: it has no configuration or split %q", dir, choice[0])
	}
	i := slices.IndexFunc(f.splits, func(s split) bool { return s.name == choice[0] })
	if i < 0 {
		return fmt.Errorf("%s: it has no configuration or split %q, but the splits %s", f.name, choice[0], f.names())
	}
	f.name += ":" + choice[0]
	f.splits, f.others = f.splits[i:i+1], nil
	return nil
}

// findFolder returns the parts of a folder, and what of the choice they do not use.
func findFolder(dir string, choice []string) (*folder, []string, error) {
	if f, err := savedFolder(dir); f != nil || err != nil {
		return f, choice, err
	}
	if f, left, err := hubFolder(dir, choice); f != nil || err != nil {
		return f, left, err
	}
	for _, place := range []string{dir, filepath.Join(dir, "data")} {
		entries, err := os.ReadDir(place)
		if errors.Is(err, os.ErrNotExist) && place != dir {
			continue
		} else if err != nil {
			return nil, nil, err
		}
		f, err := splitFolder(place, entries)
		if err != nil {
			return nil, nil, err
		}
		if f != nil {
			f.name = dir
			return f, choice, nil
		}
	}
	return nil, choice, nil
}

// shard is the name of one of several files of a split.
var shard = regexp.MustCompile(`^(\w+(?:\.\w+)*)-\d{5}-of-\d{5}.*\.`)

// splitFolder returns the splits that the names of a folder's entries say, in the order
// of splitNames. A folder with one split alone has none, nor has one without train that
// has not both validation and test.
func splitFolder(dir string, entries []os.DirEntry) (*folder, error) {
	f := &folder{name: dir}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		info, err := os.Stat(path)
		_, readable := fileTypeOf(path)
		name := splitOf(e.Name())
		if found := shard.FindStringSubmatch(e.Name()); found != nil && name != "" {
			name = found[1] // such as train_sft
		}
		switch {
		case strings.HasPrefix(e.Name(), "."):
		case err != nil, name == "", isNotData(e.Name()), !info.IsDir() && (!readable || !info.Mode().IsRegular()):
			f.others = append(f.others, path)
		case info.IsDir():
			var own source
			if own.plainFolder(path) != nil { // such as a folder of tests of a program
				f.others = append(f.others, path)
				continue
			}
			f.add(splitOf(e.Name()), own.files...)
			f.others = append(f.others, own.skipped...)
		default:
			f.add(name, path)
		}
	}
	has := func(kind string) bool {
		return slices.ContainsFunc(f.splits, func(s split) bool { return splitOf(s.name) == kind })
	}
	parts := has("train") || has("validation") && has("test")
	if !parts || len(f.splits) == 1 {
		return nil, nil
	}
	f.sort()
	return f, nil
}

// deepFolder returns the files of a folder's subfolders, by the splits that the names on
// their paths say; all are for training if none does. It returns nil without any.
func deepFolder(dir string) (*folder, error) {
	all, err := filesBelow(dir)
	if err != nil {
		return nil, err
	}
	f, whole := &folder{name: dir}, &folder{name: dir}
	for _, name := range all {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if _, ok := fileTypeOf(file); !ok || isNotData(filepath.Base(file)) {
			f.others = append(f.others, file)
			continue
		}
		whole.add("train", file)
		if kind := splitOf(name); kind != "" {
			f.add(kind, file)
		} else {
			f.others = append(f.others, file)
		}
	}
	switch {
	case len(whole.splits) == 0:
		return nil, nil
	case !slices.ContainsFunc(f.splits, func(s split) bool { return s.name == "train" }):
		whole.whole = true
		return whole, nil
	}
	f.sort()
	return f, nil
}

// add adds files to a split.
func (f *folder) add(name string, files ...string) {
	i := slices.IndexFunc(f.splits, func(s split) bool { return s.name == name })
	if i < 0 {
		i = len(f.splits)
		f.splits = append(f.splits, split{name: name})
	}
	f.splits[i].files = append(f.splits[i].files, files...)
}

// sort puts the splits in the order of splitNames.
func (f *folder) sort() {
	rank := func(s split) int {
		return slices.IndexFunc(splitNames, func(n splitName) bool { return n.split == splitOf(s.name) })
	}
	slices.SortStableFunc(f.splits, func(a, b split) int { return rank(a) - rank(b) })
}

// names lists the splits for a message.
func (f *folder) names() string {
	var names []string
	for _, s := range f.splits {
		names = append(names, s.name)
	}
	return listed(names)
}

// listed returns names for a message, not all if they are many.
func listed(names []string) string {
	const most = 8
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s, … (%d in all)", strings.Join(names[:most], ", "), len(names))
}

// A Purpose is what records are read for, which decides between the splits of a folder.
type Purpose int

// The purposes of records.
const (
	ForTraining   Purpose = iota
	ForEvaluation         // the loss beside training: validation and test
	ForTest               // a benchmark: test or else validation
	ForValidation         // a benchmark whose test split has no answers
	ForExamples           // of a benchmark: dev or else train
)

// chosen returns the splits to read.
func (f *folder) chosen(use Purpose) ([]split, error) {
	if len(f.splits) == 1 {
		return f.splits, nil
	}
	var chosen []split
	for _, kind := range wanted[use] {
		own, err := f.ofKind(kind)
		if err != nil {
			return nil, err
		}
		if own != nil {
			chosen = append(chosen, *own)
		}
		if use != ForEvaluation && chosen != nil {
			break
		}
	}
	if chosen == nil {
		return nil, fmt.Errorf("%s: it has the splits %s; choose one, as %[1]s:%[3]s", f.name, f.names(), f.splits[0].name)
	}
	return chosen, nil
}

// wanted are the kinds of splits that serve a purpose: all of them for evaluation, and
// else the first that there is.
var wanted = map[Purpose][]string{
	ForTraining:   {"train"},
	ForEvaluation: {"validation", "test"},
	ForTest:       {"test", "validation"},
	ForValidation: {"validation"},
	ForExamples:   {"dev", "train", "validation"},
}

// ofKind returns the split of a kind: that of exactly this name, or the only one whose
// name says it, or nil.
func (f *folder) ofKind(kind string) (*split, error) {
	var own []split
	for _, s := range f.splits {
		if s.name == kind {
			return &s, nil
		}
		if splitOf(s.name) == kind {
			own = append(own, s)
		}
	}
	switch len(own) {
	case 0:
		return nil, nil
	case 1:
		return &own[0], nil
	}
	all := folder{splits: own}
	return nil, fmt.Errorf("%s: several of its splits are for %s: %s; choose one, as %[1]s:%[4]s", f.name, kind, all.names(), own[0].name)
}

// notData are files of a dataset's folder that describe it, by their names in lower
// case.
var notData = []string{"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "config.json"}

func isNotData(name string) bool { return slices.Contains(notData, strings.ToLower(name)) }

// isBeside reports whether a file is one that a dataset's folder has beside its records,
// by its name; it is not worth a line.
func isBeside(name string) bool {
	name = strings.ToLower(filepath.Base(name))
	word, _, _ := strings.Cut(name, ".")
	return strings.HasPrefix(name, ".") || isNotData(name) ||
		slices.Contains([]string{"readme", "license", "licence", "notice", "citation", "changelog"}, word) ||
		slices.Contains([]string{".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".pdf"}, filepath.Ext(name))
}
