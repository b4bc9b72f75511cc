package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// A configuration is a named dataset of a Hub repository, from the metadata of its
// README.md (https://huggingface.co/docs/hub/datasets-manual-configuration).
type configuration struct {
	Name    string `yaml:"config_name"`
	Files   any    `yaml:"data_files"`
	Dir     string `yaml:"data_dir"`
	Default bool   `yaml:"default"`
}

// maxReadme bounds the bytes of a README.md that are read.
const maxReadme = 16 << 20

// hubFolder returns the parts of the configuration that the choice begins with, or else
// of the default one, and the rest of the choice. It returns nil if README.md has none.
func hubFolder(dir string, choice []string) (*folder, []string, error) {
	readme := filepath.Join(dir, "README.md")
	configs, err := configurations(readme)
	if len(configs) == 0 || err != nil {
		return nil, choice, err
	}
	c, named := defaultOf(configs), false
	if len(choice) > 0 {
		if i := slices.IndexFunc(configs, func(c configuration) bool { return c.Name == choice[0] }); i >= 0 {
			c, named, choice = &configs[i], true, choice[1:]
		}
	}
	if c == nil {
		var names []string
		for _, c := range configs {
			names = append(names, c.Name)
		}
		if len(choice) > 0 {
			return nil, nil, fmt.Errorf("%s: it has no configuration %q; choose one of %s, as %s:%s", readme, choice[0], listed(names), dir, names[0])
		}
		return nil, nil, fmt.Errorf("%s: it has the configurations %s and no default; choose one, as %s:%s", readme, listed(names), dir, names[0])
	}
	f, err := c.folder(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: configuration %s: %w", readme, c.Name, err)
	}
	if named {
		f.name += ":" + c.Name
	}
	return f, choice, nil
}

// defaultOf returns the configuration that is marked, or named default, or alone; or nil.
func defaultOf(configs []configuration) *configuration {
	for _, is := range []func(configuration) bool{
		func(c configuration) bool { return c.Default },
		func(c configuration) bool { return c.Name == "default" },
		func(configuration) bool { return len(configs) == 1 },
	} {
		if i := slices.IndexFunc(configs, is); i >= 0 {
			return &configs[i]
		}
	}
	return nil
}

// configurations returns those of a README.md's metadata that name files.
func configurations(readme string) ([]configuration, error) {
	file, err := os.Open(readme)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || info.Size() > maxReadme || !info.Mode().IsRegular() {
		return nil, err
	}
	text, err := os.ReadFile(readme)
	if err != nil {
		return nil, err
	}
	text = bytes.ReplaceAll(bytes.TrimPrefix(text, []byte(utf8Mark)), []byte("\r\n"), []byte("\n"))
	body, ok := bytes.CutPrefix(text, []byte("---\n"))
	if !ok {
		return nil, nil
	}
	head, _, ok := bytes.Cut(body, []byte("\n---"))
	if !ok {
		return nil, nil
	}
	var metadata struct {
		Configs []configuration `yaml:"configs"`
	}
	if err := yaml.Unmarshal(head, &metadata); err != nil {
		if !bytes.Contains(head, []byte("configs:")) {
			return nil, nil // metadata for readers only
		}
		return nil, fmt.Errorf("%s: its metadata is not YAML with a list of configurations: %s", readme, firstLine(err))
	}
	return slices.DeleteFunc(metadata.Configs, func(c configuration) bool { return c.Name == "" || c.Files == nil && c.Dir == "" }), nil
}

func firstLine(err error) string {
	first, _, _ := strings.Cut(err.Error(), "\n")
	return first
}

// folder returns the splits of a configuration.
func (c *configuration) folder(dir string) (*folder, error) {
	if !filepath.IsLocal(filepath.FromSlash(path.Join(".", c.Dir))) {
		return nil, fmt.Errorf("its data_dir %q is not in the folder", c.Dir)
	}
	if c.Files == nil {
		return dirFolder(filepath.Join(dir, filepath.FromSlash(c.Dir)))
	}
	patterns, err := splitPatterns(c.Files)
	if err != nil {
		return nil, err
	}
	all, err := filesBelow(dir)
	if err != nil {
		return nil, err
	}
	f := &folder{name: dir}
	for _, p := range patterns {
		match, err := globPattern(path.Join(c.Dir, p.glob))
		if err != nil {
			return nil, err
		}
		n := 0
		for _, name := range all {
			if match.MatchString(name) {
				f.add(p.split, filepath.Join(dir, filepath.FromSlash(name)))
				n++
			}
		}
		if n == 0 {
			return nil, fmt.Errorf("no file of the folder matches %q; download the whole repository", p.glob)
		}
	}
	if len(f.splits) == 0 {
		return nil, errors.New("it names no files")
	}
	return f, nil
}

// dirFolder returns the splits that the names in a configuration's folder say, or all of
// its files for training.
func dirFolder(dir string) (*folder, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	if f, err := splitFolder(dir, entries); f != nil || err != nil {
		return f, err
	}
	var own source
	if err := own.plainFolder(dir); err != nil {
		return nil, err
	}
	return &folder{name: dir, splits: []split{{name: "train", files: own.files}}}, nil
}

// A splitPattern selects the files of a split.
type splitPattern struct{ split, glob string }

// splitPatterns returns the patterns of data_files: one or several of the train split,
// or objects of a split and its own.
func splitPatterns(files any) ([]splitPattern, error) {
	switch v := files.(type) {
	case string:
		return []splitPattern{{"train", v}}, nil
	case map[string]any:
		var all []splitPattern
		name, hasSplit := v["split"].(string)
		globs, hasPath := v["path"]
		if !hasSplit || !hasPath {
			return nil, errors.New("its data_files must be texts, or objects of split and path")
		}
		own, err := splitPatterns(globs)
		for _, p := range own {
			all = append(all, splitPattern{name, p.glob})
		}
		return all, err
	case []any:
		var all []splitPattern
		for _, one := range v {
			own, err := splitPatterns(one)
			if err != nil {
				return nil, err
			}
			all = append(all, own...)
		}
		return all, nil
	}
	return nil, errors.New("its data_files must be texts, or objects of split and path")
}

// maxFiles bounds the files of a repository.
const maxFiles = 1 << 20

// filesBelow returns the files of a folder and its subfolders, except hidden ones, with
// slashes and in order.
func filesBelow(dir string) ([]string, error) {
	var all []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && strings.HasPrefix(e.Name(), ".") && e.IsDir():
			return fs.SkipDir
		case len(all) == maxFiles:
			return fmt.Errorf("it has more than %d files", maxFiles)
		case !e.IsDir() && !strings.HasPrefix(e.Name(), "."):
			all = append(all, name)
		}
		return nil
	})
	return all, err
}
