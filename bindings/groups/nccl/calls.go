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
	"slices"
	"unsafe"

	"qlora/bindings"
	"qlora/bindings/groups"
)

// Rank returns this rank's number.
func (c *communicator) Rank() int { return c.place }

// Size returns the number of ranks.
func (c *communicator) Size() int { return c.size }

// String says which library runs, for messages.
func (g *Group) String() string { return fmt.Sprintf("NCCL %s (%s)", g.found.Version, g.found.Path) }

// Sum enqueues the sum of all ranks' t on the device's stream.
func (g *Group) Sum(_ bindings.Device, t bindings.Tensor) error {
	if err := groups.CheckSum(t); err != nil {
		return err
	}
	g.ahead.End()
	return g.enqueue("ncclAllReduce", fmt.Sprintf("sum of %d numbers", t.Len()), func() C.int {
		return C.nccl_sum(g.library.table, t.Address(), C.size_t(t.Len()), g.handle, g.stream)
	})
}

// SumParts enqueues the sum of all ranks' parts of this one.
func (g *Group) SumParts(_ bindings.Device, part, all bindings.Tensor) error {
	if err := groups.CheckSumParts(part, all, g.Size()); err != nil {
		return err
	}
	g.ahead.End()
	return g.enqueue("ncclReduceScatter", fmt.Sprintf("sum of parts of %d numbers", part.Len()), func() C.int {
		return C.nccl_sum_parts(g.library.table, part.Address(), all.Address(), C.size_t(part.Len()), g.handle, g.stream)
	})
}

// Split makes a communicator for each color.
func (g *Group) Split(color int) (groups.Gatherer, error) {
	if err := g.ended(); err != nil {
		return nil, err
	}
	g.ahead.End()
	ctx := context.Background()
	colors, err := tell(ctx, g.control, color)
	if err != nil {
		return nil, g.endBy(err)
	}
	part := &communicator{engine: g.engine}
	for rank, c := range colors {
		if c == color && rank < g.Rank() {
			part.place++
		}
		if c == color {
			part.size++
		}
	}
	id, err := g.meet(ctx, color, colors)
	if err != nil {
		return nil, g.end(err)
	}
	return part, part.join(ctx, id)
}

// Gather enqueues the exchange of parts.
func (c *communicator) Gather(_ bindings.Device, all, part bindings.Tensor) error {
	if err := groups.CheckGather(all, part, c.size); err != nil {
		return err
	}
	c.ahead.End()
	return c.gather(part, all.Address(), c.stream)
}

// GatherAhead enqueues it in a stream of its own.
func (c *communicator) GatherAhead(dev bindings.Device, all, part bindings.Tensor) (arrive func() error, err error) {
	if err := groups.CheckGatherAhead(all, part, c.size); err != nil {
		return nil, err
	}
	apart, ok := dev.(groups.ApartDevice)
	if !ok {
		return func() error { return nil }, c.Gather(dev, all, part)
	}
	c.ahead.End()
	err = apart.Aside(all, groups.Arrival, func(stream, to unsafe.Pointer) error { return c.gather(part, to, stream) })
	if err != nil {
		return nil, c.end(err)
	}
	return c.ahead.Until(func() error {
		dev.Run(&bindings.Await{Event: groups.Arrival})
		return nil
	}), nil
}

func (c *communicator) gather(part bindings.Tensor, to, stream unsafe.Pointer) error {
	return c.enqueue("ncclAllGather", fmt.Sprintf("gather of %d bytes", part.Len()), func() C.int {
		return C.nccl_gather(c.library.table, part.Address(), to, C.size_t(part.Len()), c.handle, stream)
	})
}

// Broadcast enqueues the copy from one rank to the others.
func (g *Group) Broadcast(_ bindings.Device, t bindings.Tensor, from int) error {
	if err := groups.CheckBroadcast(t, from, g.Size()); err != nil {
		return err
	}
	g.ahead.End()
	return g.enqueue("ncclBroadcast", fmt.Sprintf("broadcast of %d bytes", t.Bytes()), func() C.int {
		return C.nccl_broadcast(g.library.table, t.Address(), C.size_t(t.Bytes()), C.int(from), g.handle, g.stream)
	})
}

// enqueue makes a call of NCCL.
func (c *communicator) enqueue(name, call string, do func() C.int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c.begin(call)
	c.calls.Lock()
	if c.handle == nil {
		c.calls.Unlock()
		return c.ended()
	}
	status := do()
	c.calls.Unlock()
	if err := c.settle(context.Background(), name, status); err != nil {
		return err
	}
	if c.stream == nil { // nothing is enqueued: it is done
		c.complete()
	}
	return nil
}

// Exchange is the control's. A rank that waits in it is watched by the control.
func (g *Group) Exchange(ctx context.Context, mine []byte) ([][]byte, error) {
	g.ahead.End()
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
func (g *engine) Abort(err error) { _ = g.end(groups.Aborted(err, g.control.Rank())) }

// end ends the group by an error of this rank and tells the others.
func (g *engine) end(err error) error {
	if g.ended() == nil {
		g.control.Abort(err)
	}
	return g.endBy(err)
}

// endBy ends the group by an error that the others know. The communicators are aborted, so
// that their kernels leave the GPU. It returns the error that was the first.
func (g *engine) endBy(err error) error {
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
	for _, c := range g.comms {
		C.nccl_abort(g.library.table, c.handle)
		c.handle = nil
	}
	g.comms = nil
	return err
}

func (g *engine) ended() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

var errClosed = errors.New("the group is closed")

// Close waits for the other ranks, ends the communicators and closes the control.
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
	for _, c := range slices.Backward(g.comms) {
		if err != nil {
			C.nccl_abort(g.library.table, c.handle)
		} else {
			err = g.library.failed("ncclCommDestroy", nil, C.nccl_destroy(g.library.table, c.handle))
		}
		c.handle = nil
	}
	g.comms = nil
	return err
}
