// Package licences collects the licences of what is linked into a program.
package licences

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A Component is a module, or Go's standard library, with its licences.
type Component struct {
	Name, Version string
	Files         []File // in the order of their paths
}

// A File is a licence as the component has it.
type File struct {
	Path  string   // relative to the component's folder
	Kinds []string // SPDX identifiers of the licences that it states
	Text  string
}

// Of returns the components that are linked into the program of a package: its own
// module, Go's library, and the others by path. It returns an error for a component
// without a licence, or with one that is not known to permit this.
func Of(program string, env []string) ([]Component, error) {
	linked, err := list(program, env)
	if err != nil {
		return nil, err
	}
	var settings struct{ GOROOT, GOVERSION string }
	answer, err := command(env, "env", "-json", "GOROOT", "GOVERSION")
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(answer, &settings); err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	library := linkedModule{module: module{Path: "Go's standard library and run time", Version: settings.GOVERSION, Dir: settings.GOROOT}}
	var all []Component
	var problems []error
	for _, m := range slices.Insert(linked, 1, library) {
		c, err := read(m.module, m.packages)
		if err != nil {
			problems = append(problems, err)
		}
		all = append(all, c)
	}
	return all, errors.Join(problems...)
}

// module is what go list says of a module.
type module struct {
	Path, Version, Dir string
	Main               bool
}

// linkedModule is a module with the folders of its packages that are linked.
type linkedModule struct {
	module
	packages []string
}

// list returns the program's module and then those it needs, by path.
func list(program string, env []string) ([]linkedModule, error) {
	output, err := command(env, "list", "-deps", "-json=Dir,Module", program)
	if err != nil {
		return nil, err
	}
	found := map[string]*linkedModule{}
	for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
		var one struct {
			Dir    string
			Module *module
		}
		if err := decoder.Decode(&one); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		if one.Module == nil { // of Go itself
			continue
		}
		m := found[one.Module.Path]
		if m == nil {
			m = &linkedModule{module: *one.Module}
			found[m.Path] = m
		}
		m.packages = append(m.packages, one.Dir)
	}
	var modules []linkedModule
	for _, m := range found {
		modules = append(modules, *m)
	}
	slices.SortFunc(modules, func(x, y linkedModule) int {
		if x.Main != y.Main {
			return map[bool]int{true: -1, false: 1}[x.Main]
		}
		return cmp.Compare(x.Path, y.Path)
	})
	return modules, nil
}

// command runs the go command.
func command(env []string, arguments ...string) ([]byte, error) {
	cmd := exec.Command("go", arguments...)
	cmd.Env = append(os.Environ(), env...)
	var problem bytes.Buffer
	cmd.Stderr = &problem
	output, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w: %s", strings.Join(arguments, " "), err, bytes.TrimSpace(problem.Bytes()))
	}
	return output, nil
}

// name matches the name of a file that states a licence, or of a folder of such files.
var name = regexp.MustCompile(`(?i)^(licen[cs]es?|copying|copyright|notice|unlicense|patents|third[_-]party[_-]licenses)([._-].*)?$`)

// read reads the licences of a module: in its folder, in the folders of the packages, and
// in those between them.
func read(m module, packages []string) (Component, error) {
	c := Component{Name: m.Path, Version: m.Version}
	folders := map[string]bool{m.Dir: true}
	for _, dir := range packages {
		for ; len(dir) > len(m.Dir); dir = filepath.Dir(dir) {
			folders[dir] = true
		}
	}
	for dir := range folders {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return c, err
		}
		for _, entry := range entries {
			if !name.MatchString(entry.Name()) || strings.HasSuffix(entry.Name(), ".go") {
				continue
			}
			if err := c.add(m.Dir, filepath.Join(dir, entry.Name())); err != nil {
				return c, err
			}
		}
	}
	slices.SortFunc(c.Files, func(x, y File) int { return cmp.Compare(x.Path, y.Path) })
	if len(c.Kinds()) == 0 {
		return c, fmt.Errorf("%s %s: no file in %s states a licence that is known to permit distribution; see what it is under before it is packed", m.Path, m.Version, m.Dir)
	}
	return c, nil
}

// add adds the file at path, or the files of the folder. Those of a folder that state no
// known licence are left out: they are of other parts, or one of several to choose from.
func (c *Component) add(root, top string) error {
	return filepath.WalkDir(top, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		text := strings.TrimSpace(strings.ReplaceAll(string(data), "\r\n", "\n"))
		if kinds := Kinds(text); path == top || len(kinds) > 0 {
			c.Files = append(c.Files, File{Path: filepath.ToSlash(relative), Kinds: kinds, Text: text})
		}
		return nil
	})
}

// Kinds returns the licences of all files, sorted.
func (c *Component) Kinds() []string {
	var kinds []string
	for _, f := range c.Files {
		kinds = append(kinds, f.Kinds...)
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}
