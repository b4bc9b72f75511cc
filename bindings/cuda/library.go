package cuda

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"qlora/internal/sharedlib"
)

// A kind of library is one of the two that are made of the kernels' sources.
type kind struct {
	file     string // its name
	variable string // the environment variable that may name it
	make     string // what builds it
}

var (
	graphics = kind{file: "libqlora_cuda.so", variable: "QLORA_CUDA_LIBRARY", make: "make cuda"}
	emulator = kind{file: "libqlora_emu.so", variable: "QLORA_EMU_LIBRARY", make: "make emu"}
)

// A Description says which library of kernels there is.
type Description struct {
	Path   string   // where it was found; "" where it was not
	Build  string   // what it says of itself
	Looked []string // where one was looked for, in order, with what came of it
}

// Describe looks for the library of kernels for GPUs, or the emulator's.
func Describe(emulated bool) Description {
	_, d, _ := find(kindOf(emulated), "")
	return d
}

func kindOf(emulated bool) kind {
	if emulated {
		return emulator
	}
	return graphics
}

// find opens the library that choice or the environment names, else the first
// that is there.
func find(k kind, choice string) (*library, Description, error) {
	from := "the option"
	if choice == "" {
		choice, from = os.Getenv(k.variable), k.variable
	}
	if choice != "" {
		lib, err := load(choice)
		if err != nil {
			return nil, Description{Looked: []string{choice + ": " + err.Error()}}, fmt.Errorf("%w: %s, which %s names: %w; `%s` builds one", ErrNoLibrary, choice, from, err, k.make)
		}
		return lib, Description{Path: choice, Build: lib.build, Looked: []string{choice + ": in use"}}, nil
	}
	var d Description
	var broken error
	for _, path := range candidates(k) {
		if strings.ContainsRune(path, filepath.Separator) {
			if _, err := os.Stat(path); err != nil {
				d.Looked = append(d.Looked, path+": not there")
				continue
			}
		}
		lib, err := load(path)
		if err == nil {
			d.Path, d.Build, d.Looked = path, lib.build, append(d.Looked, path+": in use")
			return lib, d, nil
		}
		d.Looked = append(d.Looked, path+": "+err.Error())
		if strings.ContainsRune(path, filepath.Separator) {
			broken = errors.Join(broken, fmt.Errorf("%s: %w", path, err))
		}
	}
	if broken != nil {
		return nil, d, fmt.Errorf("%w that can be used: %w; `%s` builds it anew", ErrNoLibrary, broken, k.make)
	}
	return nil, d, fmt.Errorf("%w: %s is not there; `%s` builds it, or %s names one", ErrNoLibrary, k.file, k.make, k.variable)
}

// candidates are the places a library may be: beside the executable, in the lib
// folder beside the executable's own, in the build folder of the module that holds
// the working folder, and where the system's loader looks.
func candidates(k kind) []string {
	var paths []string
	if dir, ok := sharedlib.Executable(); ok {
		paths = append(paths, filepath.Join(dir, k.file), filepath.Join(dir, "..", "lib", k.file), filepath.Join(dir, "lib", k.file))
	}
	if root, ok := sharedlib.Module(); ok {
		paths = append(paths, filepath.Join(root, "build", "lib", k.file))
	}
	return append(paths, k.file)
}
