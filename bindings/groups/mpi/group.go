package mpi

/*
#include "table.h"
*/
import "C"

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"qlora/bindings"
	"qlora/bindings/groups"
)

// piece is the number of bytes that pass through the host's memory at once.
const piece = 32 << 20

// sumPiece is the same of sums of parts: libraries take buffers of that size, several times.
const sumPiece = 4 << 20

// A Group is the ranks of a world, or of a part of it, with messages of its own.
type Group struct {
	*line
	calls    C.mpi_handle // communicator
	members  []int        // ranks of the world
	place    int          // this rank's among them
	number   uint64       // of the part; 0: it is the group
	sequence uint64       // of calls
	call     string       // the present one
	parts    []*Group
	ahead    *groups.Ahead // of the group and its parts

	// MPI libraries remember memory that they have sent from, and watch what the program
	// returns to the system; Go's heap is moved about behind their back.
	buffers [2][]byte
}

var _ groups.Group = (*Group)(nil)

// Rank returns this rank's number.
func (g *Group) Rank() int { return g.place }

// Size returns the number of ranks.
func (g *Group) Size() int { return len(g.members) }

// Split gives each color a communicator.
func (g *Group) Split(color int) (groups.Gatherer, error) {
	g.ahead.End()
	defer g.present.Store(0)
	colors, err := g.come(context.Background(), "split", color)
	if err != nil {
		return nil, err
	}
	part := &Group{line: g.line, number: uint64(len(g.parts) + 1), ahead: g.ahead}
	for place, c := range colors {
		if c != color {
			continue
		}
		if place == g.place {
			part.place = len(part.members)
		}
		part.members = append(part.members, g.members[place])
	}
	table := g.world.library.table
	first := C.int(slices.Index(colors, color)) // colors of MPI are small and not negative
	err = g.world.call("MPI_Comm_split", func() C.int { return C.mpi_split(table, g.calls, first, C.int(g.place), &part.calls) })
	if err == nil {
		err = g.world.call("MPI_Comm_set_errhandler", func() C.int { return C.mpi_return_errors(table, part.calls) })
	}
	g.parts = append(g.parts, part)
	return part, g.failed(err)
}

// A header is what ranks show each other as they come to a call.
const (
	headerBytes = 64
	closing     = "end of the run"
	partShift   = 48 // of the part's number, above its calls'
)

// come waits until all ranks have come to the same call. It returns the number that each
// gave.
func (g *Group) come(ctx context.Context, call string, number int) ([]int, error) {
	if err := g.listen(); err != nil {
		return nil, err
	}
	g.sequence++
	g.call = call
	g.present.Store(g.number<<partShift | g.sequence)
	mine := g.buffer(0, headerBytes)
	clear(mine)
	binary.LittleEndian.PutUint64(mine, uint64(number))
	copy(mine[8:], call)
	all := g.buffer(1, headerBytes*g.Size())
	if err := g.gather(ctx, all, mine); err != nil {
		return nil, err
	}
	numbers := make([]int, g.Size())
	for rank := range numbers {
		header := all[rank*headerBytes:][:headerBytes]
		numbers[rank] = int(binary.LittleEndian.Uint64(header))
		their := strings.TrimRight(string(header[8:]), "\x00")
		switch their {
		case call:
		case closing:
			return nil, g.endBy(&groups.AbsentError{Call: call, Ranks: []int{g.members[rank]}})
		default:
			return nil, g.endBy(&groups.MixedError{Rank: g.world.Rank, Other: g.members[rank], Call: call, Their: their})
		}
	}
	return numbers, nil
}

// buffer returns n bytes outside of Go's heap.
func (g *Group) buffer(which, n int) []byte {
	if b := g.buffers[which]; len(b) < n {
		// The former one is not unmapped: a call that was given up may still write to it.
		b, err := unix.Mmap(-1, 0, max(n, 1<<16), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			panic(fmt.Sprintf("mpi: map %d bytes: %v", n, err))
		}
		g.buffers[which] = b
	}
	return g.buffers[which][:n]
}

func pointer(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }

// gather fills all with the parts of all ranks.
func (g *Group) gather(ctx context.Context, all, part []byte) error {
	return g.await(ctx, "MPI_Iallgather", func(request *C.mpi_handle) C.int {
		return C.mpi_gather(g.world.library.table, pointer(part), pointer(all), C.int(len(part)), g.calls, request)
	})
}

// Sum sends and receives all pieces through the host's memory.
func (g *Group) Sum(dev bindings.Device, t bindings.Tensor) error {
	if err := groups.CheckSum(t); err != nil {
		return err
	}
	g.ahead.End()
	defer g.present.Store(0)
	if _, err := g.come(context.Background(), fmt.Sprintf("sum of %d numbers", t.Len()), 0); err != nil || g.Size() == 1 {
		return err
	}
	return g.pieces(t, piece, func(part bindings.Tensor) error {
		return g.onHost(dev, part, true, true, func(b []byte) error {
			return g.await(context.Background(), "MPI_Iallreduce", func(request *C.mpi_handle) C.int {
				return C.mpi_sum(g.world.library.table, pointer(b), C.int(part.Len()), g.calls, request)
			})
		})
	})
}

// SumParts is in pieces of all parts, through the host's memory.
func (g *Group) SumParts(dev bindings.Device, part, all bindings.Tensor) error {
	if err := groups.CheckSumParts(part, all, g.Size()); err != nil {
		return err
	}
	g.ahead.End()
	defer g.present.Store(0)
	if _, err := g.come(context.Background(), fmt.Sprintf("sum of parts of %d numbers", part.Len()), 0); err != nil {
		return err
	}
	n, at := part.Len(), 0
	all = all.Reshape(1, all.Len())
	return g.pieces(part, max(8, sumPiece/g.Size()), func(part bindings.Tensor) error {
		bytes := int(part.Bytes())
		sums, mine := g.buffer(0, bytes), g.buffer(1, bytes*g.Size())
		for rank := range g.Size() {
			from := rank*n + at
			if err := g.failed(dev.Read(mine[rank*bytes:][:bytes], all.Columns(from, from+part.Len()))); err != nil {
				return err
			}
		}
		err := g.await(context.Background(), "MPI_Ireduce_scatter_block", func(request *C.mpi_handle) C.int {
			return C.mpi_sum_parts(g.world.library.table, pointer(sums), pointer(mine), C.int(part.Len()), g.calls, request)
		})
		if err != nil {
			return err
		}
		at += part.Len()
		return g.failed(dev.Write(part, sums))
	})
}

// Gather waits for all parts.
func (g *Group) Gather(dev bindings.Device, all, part bindings.Tensor) error {
	if err := groups.CheckGather(all, part, g.Size()); err != nil {
		return err
	}
	g.ahead.End()
	return g.gatherAll(dev, all, part)
}

// GatherAhead waits in a goroutine, if the memory is the host's.
func (g *Group) GatherAhead(dev bindings.Device, all, part bindings.Tensor) (arrive func() error, err error) {
	if err := groups.CheckGatherAhead(all, part, g.Size()); err != nil {
		return nil, err
	}
	if groups.Bytes(dev, part) != nil && part.Len() <= maxDirect {
		return g.ahead.Begin(func() error { return g.gatherAll(dev, all, part) }), nil
	}
	return func() error { return nil }, g.Gather(dev, all, part)
}

// gatherAll is in pieces of all ranks, or direct.
func (g *Group) gatherAll(dev bindings.Device, all, part bindings.Tensor) error {
	defer g.present.Store(0)
	if _, err := g.come(context.Background(), fmt.Sprintf("gather of %d bytes", part.Len()), 0); err != nil {
		return err
	}
	n, at := part.Len(), 0
	all = all.Reshape(1, all.Len())
	if mine := groups.Bytes(dev, part); mine != nil && n <= maxDirect {
		return g.direct(groups.Bytes(dev, all), mine)
	}
	return g.pieces(part, max(1, piece/g.Size()), func(part bindings.Tensor) error {
		mine := g.buffer(0, part.Len())
		if err := g.failed(dev.Read(mine, part)); err != nil {
			return err
		}
		theirs := g.buffer(1, part.Len()*g.Size())
		if err := g.gather(context.Background(), theirs, mine); err != nil {
			return err
		}
		for rank := range g.Size() {
			from := rank*n + at
			if err := g.failed(dev.Write(all.Columns(from, from+part.Len()), theirs[rank*part.Len():][:part.Len()])); err != nil {
				return err
			}
		}
		at += part.Len()
		return nil
	})
}

// maxDirect is the most bytes of a part that one call of MPI gathers: it counts in int.
const maxDirect = 1 << 30

// direct gathers in the memory of devices, which lives until the end of the run.
func (g *Group) direct(all, part []byte) error {
	own := all[g.Rank()*len(part):]
	if unsafe.SliceData(own) == unsafe.SliceData(part) { // MPI's operands must not overlap
		mine := g.buffer(0, len(part))
		copy(mine, part)
		part = mine
	}
	return g.gather(context.Background(), all, part)
}

// Broadcast is in pieces.
func (g *Group) Broadcast(dev bindings.Device, t bindings.Tensor, from int) error {
	if err := groups.CheckBroadcast(t, from, g.Size()); err != nil {
		return err
	}
	g.ahead.End()
	defer g.present.Store(0)
	if _, err := g.come(context.Background(), fmt.Sprintf("broadcast of %d bytes", t.Bytes()), 0); err != nil || g.Size() == 1 {
		return err
	}
	return g.pieces(t, piece, func(part bindings.Tensor) error {
		return g.onHost(dev, part, g.Rank() == from, g.Rank() != from, func(b []byte) error {
			return g.await(context.Background(), "MPI_Ibcast", func(request *C.mpi_handle) C.int {
				return C.mpi_broadcast(g.world.library.table, pointer(b), C.int(len(b)), C.int(from), g.calls, request)
			})
		})
	})
}

// onHost calls do with the bytes of a part: the device's memory, if it is the host's, or else
// a copy, which is read before and written back after, as asked.
func (g *Group) onHost(dev bindings.Device, part bindings.Tensor, read, write bool, do func(b []byte) error) error {
	if b := groups.Bytes(dev, part); b != nil {
		return do(b)
	}
	b := g.buffer(0, int(part.Bytes()))
	if read {
		if err := g.failed(dev.Read(b, part)); err != nil {
			return err
		}
	}
	if err := do(b); err != nil || !write {
		return err
	}
	return g.failed(dev.Write(part, b))
}

// pieces calls do with each part of at most n bytes of a contiguous tensor.
func (g *Group) pieces(t bindings.Tensor, n int, do func(part bindings.Tensor) error) error {
	t = t.Reshape(1, t.Len())
	most := max(1, n/int(t.DType.Size()))
	for from := 0; from < t.Len(); from += most {
		if err := do(t.Columns(from, min(from+most, t.Len()))); err != nil {
			return err
		}
	}
	return nil
}

// failed ends the group if err is an error of this rank's device: the others wait.
func (g *Group) failed(err error) error {
	if err != nil {
		g.Abort(err)
	}
	return err
}

// maxExchange bounds what a rank can make the others allocate.
const maxExchange = 1 << 30

// Exchange pads what ranks give to the longest.
func (g *Group) Exchange(ctx context.Context, mine []byte) ([][]byte, error) {
	g.ahead.End()
	defer g.present.Store(0)
	lengths, err := g.come(ctx, "exchange", len(mine))
	if err != nil {
		return nil, err
	}
	longest := 0
	all := make([][]byte, g.Size())
	for rank, n := range lengths {
		if n < 0 || n > maxExchange {
			return nil, g.endBy(&groups.AbortedError{Rank: g.members[rank], Cause: fmt.Errorf("it gave %d bytes to an exchange; at most %d are allowed", n, maxExchange)})
		}
		longest = max(longest, n)
		all[rank] = make([]byte, 0, n)
	}
	for at, most := 0, max(1, piece/g.Size()); at < longest; at += most {
		n := min(most, longest-at)
		part, parts := g.buffer(0, n), g.buffer(1, n*g.Size())
		clear(part)
		if at < len(mine) {
			copy(part, mine[at:])
		}
		if err := g.gather(ctx, parts, part); err != nil {
			return nil, err
		}
		for rank, length := range lengths {
			if at < length {
				all[rank] = append(all[rank], parts[rank*n:][:min(n, length-at)]...)
			}
		}
	}
	return all, nil
}

// Close waits for the other ranks. After an error it leaves at once; the world must then
// be aborted.
func (g *Group) Close() error {
	g.ahead.End()
	defer g.flush()
	if g.listen() != nil {
		return nil
	}
	if _, err := g.come(context.Background(), closing, 0); err != nil {
		return err
	}
	g.talking.Lock()
	defer g.talking.Unlock()
	_ = g.endBy(errClosed)
	w := g.world
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open--
	comms := []*C.mpi_handle{&g.calls, &g.control}
	for _, part := range g.parts {
		comms = append(comms, &part.calls)
	}
	for _, comm := range comms {
		if err := w.failed("MPI_Comm_free", C.mpi_free(w.library.table, comm)); err != nil {
			return err
		}
	}
	return nil
}

var errClosed = errors.New("the group is closed")
