package main

// #cgo CFLAGS: -I${SRCDIR}/../include
// #cgo LDFLAGS: -ldl
// #include <dlfcn.h>
// #include <stdlib.h>
// #include "qlora.h"
//
// // Go's build cache does not see the header: a new version must change this file.
// _Static_assert(QLORA_ABI == 22, "write the version of qlora.h here");
//
// typedef const qlora_api *(*get_api)(uint32_t);
//
// static const qlora_api *api(void *function) { return ((get_api)function)(QLORA_ABI); }
// static const qlora_kernel *kernel_at(const qlora_api *api, int number) { return api->kernel(number); }
import "C"

import (
	"cmp"
	"debug/elf"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"unsafe"
)

// A kernel is one that the library lists, with the limits of its launches.
type kernel struct {
	name    string
	symbol  string // the compiler's name, canonical
	threads int    // per block
	shared  int    // bytes of dynamic shared memory
}

// registered returns the kernels that a library lists, by name. It needs no GPU.
func registered(library string) ([]kernel, error) {
	path := C.CString(library)
	defer C.free(unsafe.Pointer(path))
	// dlerror speaks of the thread that called dlopen.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	handle := C.dlopen(path, C.RTLD_NOW|C.RTLD_LOCAL)
	if handle == nil {
		return nil, fmt.Errorf("opening %s: %s", library, C.GoString(C.dlerror()))
	}
	defer C.dlclose(handle)
	name := C.CString(entry)
	defer C.free(unsafe.Pointer(name))
	function := C.dlsym(handle, name)
	if function == nil {
		return nil, fmt.Errorf("%s has no %s", library, entry)
	}
	api := C.api(function)
	if api == nil {
		return nil, fmt.Errorf("%s was built for another version of cuda/include/qlora.h", library)
	}
	symbols, base, err := functions(library, uint64(uintptr(function)))
	if err != nil {
		return nil, err
	}
	var kernels []kernel
	for i := 0; ; i++ {
		k := C.kernel_at(api, C.int(i))
		if k == nil {
			break
		}
		kernels = append(kernels, kernel{
			name:    C.GoString(k.name),
			symbol:  canonical(symbols[uint64(uintptr(k.function))-base]),
			threads: int(k.threads),
			shared:  int(k.shared_bytes),
		})
	}
	slices.SortFunc(kernels, func(a, b kernel) int { return cmp.Compare(a.name, b.name) })
	return kernels, nil
}

// functions returns the names of a library's functions by their offset, and the
// address it was loaded at, given the loaded address of its entry.
func functions(library string, loaded uint64) (names map[uint64]string, base uint64, err error) {
	file, err := elf.Open(library)
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	symbols, err := file.Symbols()
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", library, err)
	}
	names = make(map[uint64]string)
	for _, s := range symbols {
		if elf.ST_TYPE(s.Info) != elf.STT_FUNC || s.Value == 0 {
			continue
		}
		names[s.Value] = s.Name
		if s.Name == entry {
			base = loaded - s.Value
		}
	}
	return names, base, nil
}

// local matches the mark of internal linkage in a symbol. nvcc adds one to an instance
// of a template on the host, but not on the device.
var local = regexp.MustCompile(`L(\d)`)

// canonical returns a symbol in the form that host and device share.
func canonical(symbol string) string { return local.ReplaceAllString(symbol, "$1") }
