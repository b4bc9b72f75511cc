// Package mpi connects ranks by the MPI library that the machine has, opened at run time:
// one program runs under Open MPI, MPICH, Intel MPI and others, and nothing is linked.
//
// No call of MPI waits: MPI's own waiting takes a whole processor and cannot be given up.
// Every call is nonblocking and is tested with growing pauses, until it is complete, the
// deadline passes, or another rank says why the run has ended.
package mpi

/*
#cgo LDFLAGS: -ldl
#include <stdlib.h>
#include "table.h"
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
	"unsafe"

	"qlora/bindings/groups"
)

// A library is an opened MPI library.
type library struct{ table *C.mpi_table }

// load opens the library at path; dlopen searches for a bare name. The library is never
// unloaded.
func load(path string) (*library, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	// dlerror speaks of the thread that called dlopen.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l := &library{table: (*C.mpi_table)(C.calloc(1, C.sizeof_mpi_table))}
	// UCX, inside MPICH, installs its handlers when it is loaded.
	C.mpi_keep_signals()
	wrong := C.mpi_load(l.table, name)
	C.mpi_put_signals_back()
	if wrong == nil {
		return l, nil
	}
	if l.table.library == nil {
		return nil, errors.New(strings.TrimPrefix(C.GoString(wrong), path+": "))
	}
	return nil, fmt.Errorf("it lacks %s", C.GoString(wrong))
}

// abi names the library's ABI.
func (l *library) abi() string {
	return [...]string{C.MPI_KIND_STANDARD: "MPI 5.0 standard", C.MPI_KIND_OPEN: "Open MPI", C.MPI_KIND_MPICH: "MPICH"}[l.table.kind]
}

// A World is all ranks that a launcher started. A process has one, from Start on.
type World struct {
	Description
	Version string // the library's own name and version
	Rank    int
	Size    int
	Changed []string // the signals whose handlers MPI had replaced

	library *library
	mu      sync.Mutex // MPI is initialized for one call at a time
	open    int        // groups that were not closed by all ranks
}

// Start initializes MPI with the library that the launcher's ranks use: Open MPI's first
// if openMPI is set. It may be called once per process. It waits for all ranks, which MPI
// alone does forever, but no longer than the deadline (0: groups.DefaultDeadline); after
// an error the process has to end.
func Start(ctx context.Context, openMPI bool, deadline time.Duration) (*World, error) {
	if deadline <= 0 {
		deadline = groups.DefaultDeadline
	}
	var w *World
	var err error
	started := make(chan struct{})
	go func() {
		defer close(started)
		w, err = start(openMPI)
	}()
	late := time.NewTimer(deadline)
	defer late.Stop()
	select {
	case <-started:
		return w, err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-late.C:
		return nil, &groups.AbsentError{Call: "start of MPI", After: deadline}
	}
}

func start(openMPI bool) (*World, error) {
	lib, found, err := find(openMPI)
	if err != nil {
		return nil, fmt.Errorf("%w was found: install Open MPI or MPICH, or set %s to the path of one; searched:\n  %s", err, LibraryVariable, strings.Join(found.Looked, "\n  "))
	}
	w := &World{Description: found, library: lib}
	level := new(C.int)
	C.mpi_keep_signals()
	status := C.mpi_init(lib.table, level)
	w.Changed = signals(uint64(C.mpi_put_signals_back()))
	if status != 0 {
		return nil, fmt.Errorf("MPI (%s) does not start: MPI_Init_thread returned %d", found.Path, status)
	}
	w.Version = w.version()
	if *level < lib.table.serialized {
		return nil, fmt.Errorf("MPI (%s, %s) cannot be called from several threads (level %d); use a library with MPI_THREAD_SERIALIZED", w.Version, found.Path, *level)
	}
	if err := w.failed("MPI_Comm_set_errhandler", C.mpi_return_errors(lib.table, lib.table.world)); err != nil {
		return nil, err
	}
	if w.Rank, err = w.number(C.MPI_F_RANK); err != nil {
		return nil, err
	}
	w.Size, err = w.number(C.MPI_F_SIZE)
	return w, err
}

// version returns the first line, up to a comma, of what the library says of itself.
func (w *World) version() string {
	text, n := make([]byte, maxText), new(C.int)
	if C.mpi_version(w.library.table, (*C.char)(unsafe.Pointer(&text[0])), n) != 0 {
		return "unknown version"
	}
	first, _, _ := strings.Cut(string(text[:*n]), "\n")
	first, _, _ = strings.Cut(first, ",")
	return strings.Join(strings.Fields(strings.Replace(strings.Trim(first, "\x00"), "Version:", "", 1)), " ")
}

// maxText holds MPI_MAX_LIBRARY_VERSION_STRING and MPI_MAX_ERROR_STRING of every library.
const maxText = 8192

// number reads this rank's number, or the number of ranks.
func (w *World) number(function C.int) (int, error) {
	n := new(C.int)
	err := w.failed("MPI_Comm_rank", C.mpi_number(w.library.table, function, w.library.table.world, n))
	return int(*n), err
}

// failed returns the error of a call of MPI that returned status.
func (w *World) failed(call string, status C.int) error {
	if status == 0 {
		return nil
	}
	text, n := make([]byte, maxText), new(C.int)
	if C.mpi_error_string(w.library.table, status, (*C.char)(unsafe.Pointer(&text[0])), n) != 0 {
		return fmt.Errorf("%s: error %d", call, status)
	}
	return fmt.Errorf("%s: %s", call, strings.TrimRight(string(text[:*n]), "\x00\n "))
}

// String says which library runs, for messages.
func (w *World) String() string { return fmt.Sprintf("%s (%s)", w.Version, w.Path) }

// Abort ends the processes of all ranks with an exit status. It does not return.
func (w *World) Abort(status int) {
	w.mu.Lock() // for good
	C.mpi_abort(w.library.table, C.int(status))
	os.Exit(status) // MPICH returns
}

// Close ends MPI. All groups must be closed; a rank that leaves while others wait would
// let them hang, so after an error only Abort ends a process.
func (w *World) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open > 0 {
		return errors.New("MPI cannot be left after an error; every rank has to be ended")
	}
	return w.failed("MPI_Finalize", C.mpi_finalize(w.library.table))
}

// Group returns a group of all ranks; all of them call Group in the same order. deadline
// bounds every wait; 0: groups.DefaultDeadline.
func (w *World) Group(deadline time.Duration) (*Group, error) {
	if deadline <= 0 {
		deadline = groups.DefaultDeadline
	}
	g := &Group{line: &line{world: w, deadline: deadline, heard: map[int]message{}}, place: w.Rank, ahead: new(groups.Ahead)}
	for rank := range w.Size {
		g.members = append(g.members, rank)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, comm := range []*C.mpi_handle{&g.calls, &g.control} {
		if err := w.failed("MPI_Comm_dup", C.mpi_dup(w.library.table, w.library.table.world, comm)); err != nil {
			return nil, err
		}
		if err := w.failed("MPI_Comm_set_errhandler", C.mpi_return_errors(w.library.table, *comm)); err != nil {
			return nil, err
		}
	}
	w.open++
	return g, nil
}
