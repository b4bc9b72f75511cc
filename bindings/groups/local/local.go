// Package local is a group of goroutines of one process, each with its own device. It
// needs no launcher and no library.
//
// What ranks give each other passes through the host's memory, in pieces, so that it works
// for every device.
package local

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"qlora/bindings"
	"qlora/bindings/groups"
)

// piece is the number of bytes that pass through the host's memory at once.
const piece = 1 << 20

// New returns the ranks of a group. deadline bounds every wait; 0: groups.DefaultDeadline.
func New(size int, deadline time.Duration) []groups.Group {
	if deadline <= 0 {
		deadline = groups.DefaultDeadline
	}
	s := &shared{size: size, deadline: deadline, left: make([]bool, size), over: make(chan struct{})}
	ranks := make([]groups.Group, size)
	for i := range ranks {
		ranks[i] = &rank{shared: s, number: i}
	}
	return ranks
}

// rank is one rank of a group.
type rank struct {
	*shared
	number int
	buffer []byte // of piece bytes, from the first call on
}

var _ groups.Group = (*rank)(nil)

func (r *rank) Rank() int { return r.number }
func (r *rank) Size() int { return r.size }

// Sum adds piece by piece: each rank adds up its share of the numbers of all ranks.
func (r *rank) Sum(dev bindings.Device, t bindings.Tensor) error {
	if err := groups.CheckSum(t); err != nil || r.size == 1 {
		return err
	}
	call := fmt.Sprintf("sum of %d numbers", t.Len())
	return r.pieces(t, func(part bindings.Tensor) error {
		all, err := r.show(call, dev, part, true)
		if err != nil {
			return err
		}
		n := part.Len()
		add(all, n*r.number/r.size, n*(r.number+1)/r.size)
		if err := r.barrier(call); err != nil {
			return err
		}
		return r.failed(dev.Write(part, all[r.number]))
	})
}

// add replaces the int64 numbers [from, to) of all with their sums.
func add(all [][]byte, from, to int) {
	for at := 8 * from; at < 8*to; at += 8 {
		sum := uint64(0)
		for _, b := range all {
			sum += binary.LittleEndian.Uint64(b[at:])
		}
		for _, b := range all {
			binary.LittleEndian.PutUint64(b[at:], sum)
		}
	}
}

func (r *rank) Gather(dev bindings.Device, all, part bindings.Tensor) error {
	if err := groups.CheckGather(all, part, r.size); err != nil {
		return err
	}
	call := fmt.Sprintf("gather of %d bytes", part.Len())
	n, at := part.Len(), 0
	all = all.Reshape(1, all.Len())
	if mine := groups.Bytes(dev, part); mine != nil {
		parts, err := r.meet(context.Background(), r.number, call, mine)
		if err != nil {
			return err
		}
		for rank, p := range parts {
			if to := all.Columns(rank*n, (rank+1)*n); rank != r.number || to.Address() != part.Address() {
				if err := r.failed(dev.Write(to, p)); err != nil {
					return err
				}
			}
		}
		return r.barrier(call)
	}
	return r.pieces(part, func(part bindings.Tensor) error {
		parts, err := r.show(call, dev, part, true)
		if err != nil {
			return err
		}
		for rank, p := range parts {
			if err := r.failed(dev.Write(all.Columns(rank*n+at, rank*n+at+len(p)), p)); err != nil {
				return err
			}
		}
		at += part.Len()
		return r.barrier(call)
	})
}

func (r *rank) Broadcast(dev bindings.Device, t bindings.Tensor, from int) error {
	if err := groups.CheckBroadcast(t, from, r.size); err != nil || r.size == 1 {
		return err
	}
	call := fmt.Sprintf("broadcast of %d bytes", t.Bytes())
	return r.pieces(t, func(part bindings.Tensor) error {
		all, err := r.show(call, dev, part, r.number == from)
		if err != nil {
			return err
		}
		if r.number != from {
			if err := r.failed(dev.Write(part, all[from])); err != nil {
				return err
			}
		}
		return r.barrier(call)
	})
}

// pieces calls do with each piece of a contiguous tensor.
func (r *rank) pieces(t bindings.Tensor, do func(part bindings.Tensor) error) error {
	t = t.Reshape(1, t.Len())
	most := piece / int(t.DType.Size())
	for from := 0; from < t.Len(); from += most {
		if err := do(t.Columns(from, min(from+most, t.Len()))); err != nil {
			return err
		}
	}
	return nil
}

// show waits for all ranks and returns what they show: a copy of part, or nothing. It is
// theirs until the next barrier.
func (r *rank) show(call string, dev bindings.Device, part bindings.Tensor, shows bool) ([][]byte, error) {
	if !shows {
		return r.meet(context.Background(), r.number, call, nil)
	}
	if r.buffer == nil {
		r.buffer = make([]byte, piece)
	}
	b := r.buffer[:part.Bytes()]
	if err := r.failed(dev.Read(b, part)); err != nil {
		return nil, err
	}
	return r.meet(context.Background(), r.number, call, b)
}

func (r *rank) barrier(call string) error {
	_, err := r.meet(context.Background(), r.number, call, nil)
	return err
}

// failed ends the group if err is an error of the rank's device: the others wait.
func (r *rank) failed(err error) error {
	if err != nil {
		r.Abort(err)
	}
	return err
}

func (r *rank) Exchange(ctx context.Context, mine []byte) ([][]byte, error) {
	all, err := r.meet(ctx, r.number, "exchange", slices.Clone(mine))
	if err != nil {
		return nil, err
	}
	copies := make([][]byte, len(all))
	for i, b := range all {
		copies[i] = slices.Clone(b)
	}
	return copies, nil
}

func (r *rank) Abort(err error) { r.end(&groups.AbortedError{Rank: r.number, Cause: err}) }

func (r *rank) Close() error {
	r.leave(r.number)
	r.buffer = nil
	return nil
}
