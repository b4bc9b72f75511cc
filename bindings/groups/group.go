// Package groups is the interface between a run and the ranks that share its work: a
// rank is one copy of the program, or one goroutine of it, with a device of its own.
//
// The engines are packages of their own: goroutines of one process (groups/local), MPI
// and NCCL. groups/groupstest holds all of them to one table of cases.
package groups

import (
	"context"
	"time"

	"qlora/bindings"
)

// A Group is the ranks of a run, as one of them sees it. All ranks make the same calls in
// the same order, from one goroutine each; only Abort may be called from any goroutine at
// any time.
//
// A collective call (Sum, SumParts, Gather, GatherAhead, Broadcast) works on tensors of dev, the rank's device,
// always the same one. It comes after the work that dev has enqueued, and before what dev
// runs next; like an operation of dev, it may be complete only later. Its operands are
// contiguous.
//
// A call waits for the other ranks, but no longer than the deadline that the group was
// opened with. Then it returns an [AbsentError]. A call that was refused for its operands
// (CheckSum and so on) was made by no rank; after any other error the group has ended: all
// calls fail, and the ranks that wait fail soon, with the error that was the first.
type Group interface {
	Gatherer

	// Split returns this rank's among the ranks that give the same color, in the order of their
	// numbers. Its calls take their turn among the group's, but only its ranks make them. It
	// ends with the group, and an error of it ends the group.
	Split(color int) (Gatherer, error)

	// Sum replaces t, I64, with the sum of all ranks' t. It wraps around on overflow, so the
	// result does not depend on the order of summation.
	Sum(dev bindings.Device, t bindings.Tensor) error
	// SumParts replaces part, I64, with the sum of all ranks' parts of this rank: all has
	// Size parts, one for each rank in their order. part may be its own place in all; the rest
	// of all may be anything afterwards.
	SumParts(dev bindings.Device, part, all bindings.Tensor) error
	// Broadcast replaces t, of any type, with rank from's t.
	Broadcast(dev bindings.Device, t bindings.Tensor, from int) error

	// Exchange returns what all ranks gave, in their order; it is for small things of the
	// host, of any length. The caller may change mine and the result afterwards. It also
	// returns when ctx is canceled, with an error that wraps ctx's, and the group has ended.
	Exchange(ctx context.Context, mine []byte) ([][]byte, error)

	// Abort ends the group because of an error of this rank: the calls of other ranks
	// return an [AbortedError], or the engine ends their processes. The first call counts.
	Abort(err error)
	// Close leaves the group and frees what it holds. Every rank calls it after its last
	// call; Close may wait for the other ranks, within the deadline.
	Close() error
}

// A Gatherer is ranks that send each other parts of a whole.
type Gatherer interface {
	// Rank returns this rank's number, from 0.
	Rank() int
	// Size returns the number of ranks.
	Size() int
	// Gather fills all with the parts of all ranks in their order, Size times the bytes
	// of part. Both are U8. part may be its own place in all.
	Gather(dev bindings.Device, all, part bindings.Tensor) error
	// GatherAhead begins what Gather does: the parts travel while dev computes, as far as the
	// engine and the device can. arrive makes later work of dev wait for them, and returns the
	// error. Until then dev does not touch all, and part, which lies elsewhere, stays as it is
	// until every rank has waited (Sync) for what arrived. Only one is under way: any next call
	// completes it.
	GatherAhead(dev bindings.Device, all, part bindings.Tensor) (arrive func() error, err error)
}

// DefaultDeadline is how long a call waits for the other ranks unless the user says
// otherwise: torch's and Hugging Face's ddp_timeout.
const DefaultDeadline = 30 * time.Minute
