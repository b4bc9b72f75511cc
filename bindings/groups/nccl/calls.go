package nccl

/*
#include "table.h"
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"qlora/bindings"
	"qlora/bindings/groups"
)

// Rank returns this rank's number.
func (g *Group) Rank() int { return g.control.Rank() }

// Size returns the number of ranks.
func (g *Group) Size() int { return g.control.Size() }

// String says which library runs, for messages.
func (g *Group) String() string { return fmt.Sprintf("NCCL %s (%s)", g.found.Version, g.found.Path) }

// Sum enqueues the sum of all ranks' t on the device's stream.
func (g *Group) Sum(_ bindings.Device, t bindings.Tensor) error {
	if err := groups.CheckSum(t); err != nil {
		return err
	}
	return g.enqueue("ncclAllReduce", fmt.Sprintf("sum of %d numbers", t.Len()), func() C.int {
		return C.nccl_sum(g.library.table, t.Address(), C.size_t(t.Len()), g.comm, g.stream)
	})
}

// Gather enqueues the exchange of parts.
func (g *Group) Gather(_ bindings.Device, all, part bindings.Tensor) error {
	if err := groups.CheckGather(all, part, g.Size()); err != nil {
		return err
	}
	return g.enqueue("ncclAllGather", fmt.Sprintf("gather of %d bytes", part.Len()), func() C.int {
		return C.nccl_gather(g.library.table, part.Address(), all.Address(), C.size_t(part.Len()), g.comm, g.stream)
	})
}

// Broadcast enqueues the copy from one rank to the others.
func (g *Group) Broadcast(_ bindings.Device, t bindings.Tensor, from int) error {
	if err := groups.CheckBroadcast(t, from, g.Size()); err != nil {
		return err
	}
	return g.enqueue("ncclBroadcast", fmt.Sprintf("broadcast of %d bytes", t.Bytes()), func() C.int {
		return C.nccl_broadcast(g.library.table, t.Address(), C.size_t(t.Bytes()), C.int(from), g.comm, g.stream)
	})
}

// enqueue makes a call of NCCL.
func (g *Group) enqueue(name, call string, do func() C.int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	g.begin(call)
	g.calls.Lock()
	if g.comm == nil {
		g.calls.Unlock()
		return g.ended()
	}
	status := do()
	g.calls.Unlock()
	if err := g.settle(context.Background(), name, status); err != nil {
		return err
	}
	if g.stream == nil { // nothing is enqueued: it is done
		g.complete()
	}
	return nil
}

// Exchange is the control's. A rank that waits in it is watched by the control.
func (g *Group) Exchange(ctx context.Context, mine []byte) ([][]byte, error) {
	if err := g.ended(); err != nil {
		return nil, err
	}
	all, err := g.control.Exchange(ctx, mine)
	if err != nil {
		return nil, g.endBy(err)
	}
	return all, nil
}

// Abort tells the other ranks that this one has failed.
func (g *Group) Abort(err error) { _ = g.end(groups.Aborted(err, g.Rank())) }

// end ends the group by an error of this rank and tells the others.
func (g *Group) end(err error) error {
	if g.ended() == nil {
		g.control.Abort(err)
	}
	return g.endBy(err)
}

// endBy ends the group by an error that the others know. The communicator is aborted, so
// that its kernels leave the GPU. It returns the error that was the first.
func (g *Group) endBy(err error) error {
	g.mu.Lock()
	if first := g.err; first != nil {
		g.mu.Unlock()
		return first
	}
	g.err = err
	close(g.over)
	g.mu.Unlock()
	g.calls.Lock()
	defer g.calls.Unlock()
	if g.comm != nil {
		C.nccl_abort(g.library.table, g.comm)
		g.comm = nil
	}
	return err
}

func (g *Group) ended() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

var errClosed = errors.New("the group is closed")

// Close waits for the other ranks, ends the communicator and closes the control.
func (g *Group) Close() error {
	g.mu.Lock()
	first := g.err == nil
	if first {
		g.err = errClosed
		close(g.over)
	}
	g.mu.Unlock()
	g.watching.Wait()
	err := g.control.Close()
	g.dev.AfterSync(nil)
	g.calls.Lock()
	defer g.calls.Unlock()
	switch {
	case g.comm == nil:
	case err != nil:
		C.nccl_abort(g.library.table, g.comm)
	default:
		err = g.library.failed("ncclCommDestroy", nil, C.nccl_destroy(g.library.table, g.comm))
	}
	g.comm = nil
	return err
}
