package cuda

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"qlora/internal/sharedlib"
)

// A kind is one of the two libraries built from the kernels' sources.
type kind struct {
	file     string // file name
	variable string // environment variable with its path
	make     string // command that builds it
	packed   string // how else to get it, for a list of ways
}

var (
	graphics = kind{file: "libqlora_cuda.so", variable: "QLORA_CUDA_LIBRARY", make: "make cuda", packed: "install the package qlora-cuda, "}
	emulator = kind{file: "libqlora_emu.so", variable: "QLORA_EMU_LIBRARY", make: "make emu"}
)

// A Description describes the library of kernels and how it was found.
type Description struct {
	Path   string   // where it was found; "" if not found
	Build  string   // the library's own description
	Looked []string // the paths tried, in order, with the outcome of each
}

// Describe looks for the library of kernels for GPUs, or the emulator's, and describes it.
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

// find opens the library given by choice or the environment, else the first candidate
// that works.
func find(k kind, choice string) (*library, Description, error) {
	from := "the option"
	if choice == "" {
		choice, from = os.Getenv(k.variable), k.variable
	}
	if choice != "" {
		lib, err := load(choice)
		if err != nil {
			return nil, Description{Looked: []string{choice + ": " + err.Error()}}, fmt.Errorf("%w: %s, given by %s: %w; run `%s` to build one", ErrNoLibrary, choice, from, err, k.make)
		}
		return lib, Description{Path: choice, Build: lib.build, Looked: []string{choice + ": in use"}}, nil
	}
	var d Description
	var broken error
	for _, path := range candidates(k) {
		if strings.ContainsRune(path, filepath.Separator) {
			if _, err := os.Stat(path); err != nil {
				d.Looked = append(d.Looked, path+": not found")
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
		return nil, d, fmt.Errorf("%w that can be used: %w; run `%s` to rebuild it", ErrNoLibrary, broken, k.make)
	}
	return nil, d, fmt.Errorf("%w: %s was not found; %srun `%s` to build it, or set %s to its path", ErrNoLibrary, k.file, k.packed, k.make, k.variable)
}

// candidates returns the paths to try: next to the executable, in the lib folder next to
// the executable's folder, in the build folder of the module of the working folder, and
// the bare name for the system's loader.
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
