package cpu

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"

	"qlora/bindings/cpu/openblas"
	"qlora/internal/sharedlib"
)

// Variable is the environment variable that selects the BLAS, as Options.BLAS does:
// "gonum", or the path of an OpenBLAS.
const Variable = "QLORA_BLAS"

const gonumName = "gonum"

// A Description describes a device's BLAS and how it was found.
type Description struct {
	Name   string   // "gonum" or "OpenBLAS"
	Path   string   // of the library
	Core   string   // OpenBLAS's choice of kernels
	Build  string   // OpenBLAS's version and options
	Looked []string // the paths tried, in order, with the outcome of each

	chosen bool // by name
}

// String returns a one-line description.
func (d Description) String() string {
	if d.Path == "" {
		return d.Name
	}
	return fmt.Sprintf("%s (%s) at %s", d.Name, d.Core, d.Path)
}

// Faster returns what a description of gonum's products should add: that OpenBLAS is
// faster, and the command that gets it, after "; ". It returns "" for OpenBLAS.
func (d Description) Faster() string {
	switch {
	case d.Name != gonumName:
		return ""
	case d.chosen:
		return fmt.Sprintf("; OpenBLAS is several times as fast: do not set %s to gonum", Variable)
	}
	command := "apt install libopenblas0"
	if root, ok := sharedlib.Module(); ok {
		if _, err := os.Stat(filepath.Join(root, "tools", "toolchain.py")); err == nil {
			command = "make openblas"
		}
	}
	return fmt.Sprintf("; OpenBLAS is several times as fast: `%s` gets it, or set %s to its path", command, Variable)
}

// find returns the BLAS selected by choice. "" looks for an OpenBLAS and falls back to
// gonum; a named BLAS that cannot be used is an error.
func find(choice string) (blas.Float32, Description, error) {
	own := Description{Name: gonumName}
	from := "the option"
	if choice == "" {
		choice, from = os.Getenv(Variable), Variable
	}
	if choice == gonumName {
		own.chosen = true
		return gonum.Implementation{}, own, nil
	}
	if choice != "" {
		lib, err := openblas.Open(choice)
		if err != nil {
			return nil, own, fmt.Errorf("load the OpenBLAS given by %s: %w", from, err)
		}
		return lib, describe(lib, []string{choice + ": in use"}), nil
	}
	var looked []string
	for _, path := range candidates() {
		if strings.ContainsRune(path, filepath.Separator) {
			if _, err := os.Stat(path); err != nil {
				looked = append(looked, path+": not found")
				continue
			}
		}
		lib, err := openblas.Open(path)
		if err != nil {
			looked = append(looked, path+": "+err.Error())
			continue
		}
		return lib, describe(lib, append(looked, path+": in use")), nil
	}
	own.Looked = looked
	return gonum.Implementation{}, own, nil
}

func describe(lib *openblas.Library, looked []string) Description {
	return Description{Name: "OpenBLAS", Path: lib.Path(), Core: lib.Core(), Build: lib.Build(), Looked: looked}
}

// candidates returns the paths to try for an OpenBLAS: the build's toolchain folder next
// to the executable or in the module of the working folder, then the system's names.
func candidates() []string {
	var paths []string
	add := func(root string) {
		for _, name := range []string{"libopenblas.so", "libscipy_openblas.so"} {
			paths = append(paths, filepath.Join(root, "build", "toolchain", "lib", name))
		}
	}
	if dir, ok := sharedlib.Executable(); ok {
		add(dir)
	}
	if root, ok := sharedlib.Module(); ok {
		add(root)
	}
	return append(paths, "libopenblas.so.0", "libopenblas.so")
}
