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
	"slices"
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
	*engine
	communicator
}

var _ groups.Group = (*Group)(nil)

// A communicator is ranks that are known to each other's NCCL: all, or a part of them.
type communicator struct {
	*engine
	place, size int
	handle      unsafe.Pointer // nil: it has ended
}

// engine is what a group and its parts have in common.
type engine struct {
	control  Control
	dev      Device
	stream   unsafe.Pointer
	library  *library
	deadline time.Duration
	found    Description

	calls sync.Mutex // a call of NCCL, or the end of the communicators
	comms []*communicator
	ahead groups.Ahead

	mu     sync.Mutex
	number uint64    // of calls made
	call   string    // the oldest that may not be complete; "": none
	since  time.Time // it was made
	err    error     // why the group has ended

	over     chan struct{}
	watching sync.WaitGroup
}

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
	e := &engine{control: control, dev: dev, library: lib, found: found, deadline: deadline, over: make(chan struct{})}
	g := &Group{engine: e, communicator: communicator{engine: e, place: control.Rank(), size: control.Size()}}
	all := make([]int, control.Size())
	id, err := e.meet(ctx, 0, all)
	if err != nil {
		return nil, err
	}
	if err := g.join(ctx, id); err != nil {
		return nil, fmt.Errorf("NCCL %s (%s) does not connect the %d ranks: %w", found.Version, found.Path, control.Size(), err)
	}
	dev.AfterSync(e.synced)
	e.watching.Go(e.watch)
	return g, nil
}

// meet gives the id of the first rank of each color to the others of it, and compares the versions.
func (g *engine) meet(ctx context.Context, color int, colors []int) ([]byte, error) {
	mine := hello{Version: g.found.Version}
	leader := slices.Index(colors, color)
	if g.control.Rank() == leader {
		mine.ID = make([]byte, C.NCCL_ID_BYTES)
		if err := g.library.failed("ncclGetUniqueId", nil, C.nccl_unique(g.library.table, unsafe.Pointer(&mine.ID[0]))); err != nil {
			return nil, err
		}
	}
	all, err := tell(ctx, g.control, mine)
	if err != nil {
		return nil, err
	}
	for rank, h := range all {
		if h.Version != all[0].Version {
			return nil, fmt.Errorf("rank %d has NCCL %s and rank 0 has %s: set %s to the same version on all hosts", rank, h.Version, all[0].Version, LibraryVariable)
		}
	}
	id := all[leader].ID
	if len(id) != C.NCCL_ID_BYTES {
		return nil, fmt.Errorf("rank %d gave an id of %d bytes; want %d", leader, len(id), C.NCCL_ID_BYTES)
	}
	return id, nil
}

// tell gives a value to all ranks and returns those of all.
func tell[T any](ctx context.Context, control Control, mine T) ([]T, error) {
	text, err := json.Marshal(mine)
	if err != nil {
		return nil, err
	}
	texts, err := control.Exchange(ctx, text)
	if err != nil {
		return nil, err
	}
	all := make([]T, len(texts))
	for rank, text := range texts {
		if err := json.Unmarshal(text, &all[rank]); err != nil {
			return nil, fmt.Errorf("rank %d does not run what rank %d runs: %w", rank, control.Rank(), err)
		}
	}
	return all, nil
}

// join makes the communicator.
func (c *communicator) join(ctx context.Context, id []byte) error {
	runtime.LockOSThread() // whose GPU NCCL uses
	defer runtime.UnlockOSThread()
	var err error
	if c.stream, err = c.dev.Stream(); err != nil {
		return err
	}
	c.begin("start of NCCL")
	handle := new(unsafe.Pointer)
	status := C.nccl_init(c.library.table, handle, C.int(c.size), unsafe.Pointer(&id[0]), C.int(c.place))
	c.calls.Lock()
	c.handle = *handle
	c.comms = append(c.comms, c)
	c.calls.Unlock()
	if err := c.settle(ctx, "ncclCommInitRank", status); err != nil {
		return err
	}
	c.complete()
	return nil
}

// How the state of a call is asked for.
const (
	longestPause = time.Millisecond
	listenEvery  = 200 * time.Millisecond
)

// settle waits until NCCL has taken a call: on a GPU it then is in the stream. It ends the
// group if it returns an error.
func (c *communicator) settle(ctx context.Context, name string, status C.int) error {
	heard := time.Now()
	for pause := time.Microsecond; status == C.NCCL_IN_PROGRESS; pause = min(2*pause, longestPause) {
		if err := ctx.Err(); err != nil {
			return c.end(err)
		}
		if time.Since(heard) >= listenEvery {
			if err := c.look(); err != nil {
				return err
			}
			heard = time.Now()
		}
		time.Sleep(pause)
		var err error
		if status, err = c.state(); err != nil {
			return err
		}
	}
	if err := c.library.failed(name, c.handle, status); err != nil {
		return c.lost(err)
	}
	return nil
}

// state asks for the communicator's state.
func (c *communicator) state() (C.int, error) {
	c.calls.Lock()
	defer c.calls.Unlock()
	if c.handle == nil {
		return 0, c.ended()
	}
	status := new(C.int)
	if err := c.library.failed("ncclCommGetAsyncError", c.handle, C.nccl_state(c.library.table, c.handle, status)); err != nil {
		return 0, err
	}
	return *status, nil
}

// watch looks after the calls that the GPU has not completed.
func (g *engine) watch() {
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
			if err := g.wrong(); err != nil {
				_ = g.lost(err)
				return
			}
		}
	}
}

// wrong returns the error of a communicator.
func (g *engine) wrong() error {
	g.calls.Lock()
	comms := slices.Clone(g.comms)
	g.calls.Unlock()
	for _, c := range comms {
		status, err := c.state()
		if err == nil && status != C.NCCL_IN_PROGRESS {
			err = g.library.failed("NCCL", nil, status)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// look ends the group if another rank has ended it, or a call has waited too long.
func (g *engine) look() error {
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
func (g *engine) lost(err error) error {
	for range 10 {
		if cause := g.control.Listen(0); cause != nil {
			return g.endBy(cause)
		}
		time.Sleep(listenEvery)
	}
	return g.end(err)
}

// begin counts a call.
func (g *engine) begin(call string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.number++
	if g.call == "" {
		g.call, g.since = call, time.Now()
	}
}

// complete notes that all calls made so far are complete.
func (g *engine) complete() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.call = ""
}

// synced is asked by the device when all its work is done.
func (g *engine) synced() error {
	g.complete()
	if err := g.ended(); !errors.Is(err, errClosed) {
		return err
	}
	return nil
}
