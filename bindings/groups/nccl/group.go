// Package nccl connects ranks by NVIDIA's NCCL, opened at run time: the tensors of GPUs
// travel from GPU to GPU. What the hosts tell each other, and how the ranks find each
// other, is a Control's: MPI's, or a store's.
//
// A communicator does not block, and a goroutine watches it: a rank that does not come, or
// fails, ends the calls of the others, which are kernels on the GPU that would wait for
// ever.
package nccl

/*
#include "table.h"
*/
import "C"

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"
	"unsafe"

	"qlora/bindings"
	"qlora/bindings/groups"
)

// A Control is how the ranks' hosts reach each other.
type Control interface {
	Rank() int
	Size() int
	Exchange(ctx context.Context, mine []byte) ([][]byte, error)
	// Listen returns the error by which another rank has ended the group, and says in
	// which call, counted from 1, this rank waits.
	Listen(waiting uint64) error
	// Absent ends the group and returns the error that names who has not come to a call.
	Absent(call string, number uint64) error
	Abort(err error)
	Close() error
}

// A Device is one whose work is in a stream of CUDA's.
type Device interface {
	bindings.Device
	// Stream returns the cudaStream_t and makes the GPU the calling thread's.
	Stream() (unsafe.Pointer, error)
	// AfterSync sets what Sync asks after all work is done.
	AfterSync(failed func() error)
}

// A Group is the ranks of a communicator, one GPU each.
type Group struct {
	control  Control
	dev      Device
	stream   unsafe.Pointer
	library  *library
	deadline time.Duration
	found    Description

	calls sync.Mutex // a call of NCCL, or the end of the communicator
	comm  unsafe.Pointer

	mu     sync.Mutex
	number uint64    // of calls made
	call   string    // the oldest that may not be complete; "": none
	since  time.Time // it was made
	err    error     // why the group has ended

	over     chan struct{}
	watching sync.WaitGroup
}

var _ groups.Group = (*Group)(nil)

// A hello is what ranks must agree on before the communicator is made.
type hello struct {
	ID      []byte
	Version string
}

// Open makes a communicator of the ranks of a control, on this rank's device. The group
// closes the control in the end. deadline bounds every wait; 0: groups.DefaultDeadline.
func Open(ctx context.Context, control Control, dev Device, deadline time.Duration) (*Group, error) {
	if deadline <= 0 {
		deadline = groups.DefaultDeadline
	}
	lib, found, err := find()
	if err != nil {
		return nil, fmt.Errorf("%w was found: install it or PyTorch, or set %s to the path of %s; searched:\n  %s", err, LibraryVariable, file, strings.Join(found.Looked, "\n  "))
	}
	g := &Group{control: control, dev: dev, library: lib, found: found, deadline: deadline, over: make(chan struct{})}
	id, err := g.meet(ctx)
	if err != nil {
		return nil, err
	}
	if err := g.join(ctx, id); err != nil {
		return nil, fmt.Errorf("NCCL %s (%s) does not connect the %d ranks: %w", found.Version, found.Path, control.Size(), err)
	}
	dev.AfterSync(g.synced)
	g.watching.Go(g.watch)
	return g, nil
}

// meet gives rank 0's id to all and compares the versions.
func (g *Group) meet(ctx context.Context) ([]byte, error) {
	mine := hello{Version: g.found.Version}
	if g.control.Rank() == 0 {
		mine.ID = make([]byte, C.NCCL_ID_BYTES)
		if err := g.library.failed("ncclGetUniqueId", nil, C.nccl_unique(g.library.table, unsafe.Pointer(&mine.ID[0]))); err != nil {
			return nil, err
		}
	}
	text, err := json.Marshal(mine)
	if err != nil {
		return nil, err
	}
	texts, err := g.control.Exchange(ctx, text)
	if err != nil {
		return nil, err
	}
	var first hello
	for rank, text := range texts {
		var h hello
		if err := json.Unmarshal(text, &h); err != nil {
			return nil, fmt.Errorf("rank %d does not run what rank %d runs: %w", rank, g.control.Rank(), err)
		}
		if rank == 0 {
			first = h
		}
		if h.Version != first.Version {
			return nil, fmt.Errorf("rank %d has NCCL %s and rank 0 has %s: set %s to the same version on all hosts", rank, h.Version, first.Version, LibraryVariable)
		}
	}
	if len(first.ID) != C.NCCL_ID_BYTES {
		return nil, fmt.Errorf("rank 0 gave an id of %d bytes; want %d", len(first.ID), C.NCCL_ID_BYTES)
	}
	return first.ID, nil
}

// join makes the communicator.
func (g *Group) join(ctx context.Context, id []byte) error {
	runtime.LockOSThread() // whose GPU NCCL uses
	defer runtime.UnlockOSThread()
	var err error
	if g.stream, err = g.dev.Stream(); err != nil {
		return err
	}
	g.begin("start of NCCL")
	comm := new(unsafe.Pointer)
	status := C.nccl_init(g.library.table, comm, C.int(g.Size()), unsafe.Pointer(&id[0]), C.int(g.Rank()))
	g.comm = *comm
	if err := g.settle(ctx, "ncclCommInitRank", status); err != nil {
		return err
	}
	g.complete()
	return nil
}

// How the state of a call is asked for.
const (
	longestPause = time.Millisecond
	listenEvery  = 200 * time.Millisecond
)

// settle waits until NCCL has taken a call: on a GPU it then is in the stream. It ends the
// group if it returns an error.
func (g *Group) settle(ctx context.Context, name string, status C.int) error {
	heard := time.Now()
	for pause := time.Microsecond; status == C.NCCL_IN_PROGRESS; pause = min(2*pause, longestPause) {
		if err := ctx.Err(); err != nil {
			return g.end(err)
		}
		if time.Since(heard) >= listenEvery {
			if err := g.look(); err != nil {
				return err
			}
			heard = time.Now()
		}
		time.Sleep(pause)
		var err error
		if status, err = g.state(); err != nil {
			return err
		}
	}
	if err := g.library.failed(name, g.comm, status); err != nil {
		return g.lost(err)
	}
	return nil
}

// state asks for the communicator's state.
func (g *Group) state() (C.int, error) {
	g.calls.Lock()
	defer g.calls.Unlock()
	if g.comm == nil {
		return 0, g.ended()
	}
	status := new(C.int)
	if err := g.library.failed("ncclCommGetAsyncError", g.comm, C.nccl_state(g.library.table, g.comm, status)); err != nil {
		return 0, err
	}
	return *status, nil
}

// watch looks after the calls that the GPU has not completed.
func (g *Group) watch() {
	tick := time.NewTicker(listenEvery)
	defer tick.Stop()
	for {
		select {
		case <-g.over:
			return
		case <-tick.C:
			if g.look() != nil {
				return
			}
			status, err := g.state()
			if err == nil && status != C.NCCL_IN_PROGRESS {
				err = g.library.failed("NCCL", nil, status)
			}
			if err != nil {
				_ = g.lost(err)
				return
			}
		}
	}
}

// look ends the group if another rank has ended it, or a call has waited too long.
func (g *Group) look() error {
	g.mu.Lock()
	number, call, since := g.number, g.call, g.since
	g.mu.Unlock()
	waiting := number
	if call == "" {
		waiting = 0
	}
	if err := g.control.Listen(waiting); err != nil {
		return g.endBy(err)
	}
	if call != "" && time.Since(since) >= g.deadline {
		return g.endBy(g.control.Absent(call, number))
	}
	return nil
}

// lost ends the group after an error of NCCL's: often another rank has ended, and says why.
func (g *Group) lost(err error) error {
	for range 10 {
		if cause := g.control.Listen(0); cause != nil {
			return g.endBy(cause)
		}
		time.Sleep(listenEvery)
	}
	return g.end(err)
}

// begin counts a call.
func (g *Group) begin(call string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.number++
	if g.call == "" {
		g.call, g.since = call, time.Now()
	}
}

// complete notes that all calls made so far are complete.
func (g *Group) complete() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.call = ""
}

// synced is asked by the device when all its work is done.
func (g *Group) synced() error {
	g.complete()
	if err := g.ended(); !errors.Is(err, errClosed) {
		return err
	}
	return nil
}
