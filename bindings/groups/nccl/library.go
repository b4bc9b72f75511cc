package nccl

/*
#cgo LDFLAGS: -ldl
#include <stdlib.h>
#include "table.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"unsafe"

	"qlora/internal/sharedlib"
)

// LibraryVariable names the variable of the environment with the path of the library.
const LibraryVariable = "QLORA_NCCL_LIBRARY"

const file = "libnccl.so.2"

// ErrNoLibrary is wrapped where NCCL was not found.
var ErrNoLibrary = errors.New("no NCCL")

// A Description describes NCCL's library and how it was found.
type Description struct {
	Path    string   // where it was found; "" if not found
	Version string   // "2.27.7"
	Looked  []string // the paths tried, in order, with the outcome of each
}

// Describe looks for the library. It needs no GPU.
func Describe() Description {
	_, d, _ := find()
	return d
}

type library struct{ table *C.nccl_table }

// find opens the first library that works.
func find() (*library, Description, error) {
	var d Description
	for _, path := range candidates() {
		lib, err := load(path)
		if err == nil {
			d.Path, d.Version = path, lib.version()
			d.Looked = append(d.Looked, path+": in use")
			return lib, d, nil
		}
		d.Looked = append(d.Looked, path+": "+err.Error())
	}
	return nil, d, ErrNoLibrary
}

// candidates returns the paths to try: next to the program, where the system's loader
// looks, and in the folders of the packages of a Python, where PyTorch brings NCCL along.
func candidates() []string {
	if choice := os.Getenv(LibraryVariable); choice != "" {
		return []string{choice}
	}
	var paths []string
	if dir, ok := sharedlib.Executable(); ok {
		for _, path := range []string{filepath.Join(dir, file), filepath.Join(dir, "..", "lib", file)} {
			if _, err := os.Stat(path); err == nil {
				paths = append(paths, path)
			}
		}
	}
	paths = append(paths, file)
	for _, prefix := range pythons() {
		found, err := filepath.Glob(filepath.Join(prefix, "lib", "python3*", "*-packages", "nvidia", "nccl", "lib", file))
		if err == nil {
			paths = append(paths, found...)
		}
	}
	return paths
}

// pythons returns the prefixes of the active virtual environment, of conda's, of the
// python3 on the PATH, and of the system.
func pythons() []string {
	prefixes := []string{os.Getenv("VIRTUAL_ENV"), os.Getenv("CONDA_PREFIX")}
	if python, err := exec.LookPath("python3"); err == nil {
		prefixes = append(prefixes, filepath.Dir(filepath.Dir(python)))
	}
	prefixes = append(prefixes, "/usr/local", "/usr")
	seen := map[string]bool{"": true}
	var unique []string
	for _, prefix := range prefixes {
		if !seen[prefix] {
			seen[prefix] = true
			unique = append(unique, prefix)
		}
	}
	return unique
}

// load opens the library at path; dlopen searches for a bare name. The library is never
// unloaded.
func load(path string) (*library, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	// dlerror speaks of the thread that called dlopen.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l := &library{table: (*C.nccl_table)(C.calloc(1, C.sizeof_nccl_table))}
	wrong := C.nccl_load(l.table, name)
	if wrong == nil {
		return l, nil
	}
	if l.table.library == nil {
		return nil, errors.New(strings.TrimPrefix(C.GoString(wrong), path+": "))
	}
	return nil, fmt.Errorf("it lacks %s; NCCL 2.14 or newer is needed", C.GoString(wrong))
}

func (l *library) version() string {
	v := new(C.int)
	if C.nccl_version(l.table, v) != C.NCCL_SUCCESS {
		return "unknown"
	}
	return fmt.Sprintf("%d.%d.%d", *v/10000, *v/100%100, *v%100)
}

// failed returns the error of a call that returned status.
func (l *library) failed(call string, comm unsafe.Pointer, status C.int) error {
	if status == C.NCCL_SUCCESS {
		return nil
	}
	err := fmt.Errorf("%s: %s", call, C.GoString(C.nccl_text(l.table, status)))
	if last := strings.TrimSpace(C.GoString(C.nccl_last(l.table, comm))); last != "" {
		err = fmt.Errorf("%w (%s)", err, last)
	}
	return err
}
