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
	"unsafe"

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
	h := &house{deadline: deadline, left: make([]bool, size), over: make(chan struct{})}
	hall := &room{house: h}
	h.rooms = []*room{hall}
	ranks := make([]groups.Group, size)
	for i := range ranks {
		hall.members = append(hall.members, i)
		ranks[i] = &rank{room: hall, place: i, ahead: new(groups.Ahead)}
	}
	return ranks
}

// rank is one rank of a group, or of a part of it.
type rank struct {
	*room
	place  int           // among the room's members
	buffer []byte        // of piece bytes, from the first call on
	splits int           // so far
	ahead  *groups.Ahead // of the group and its parts
}

var _ groups.Group = (*rank)(nil)

func (r *rank) Rank() int { return r.place }
func (r *rank) Size() int { return len(r.members) }

// Split gives each color a room.
func (r *rank) Split(color int) (groups.Gatherer, error) {
	colors, err := r.Exchange(context.Background(), binary.LittleEndian.AppendUint64(nil, uint64(color)))
	if err != nil {
		return nil, err
	}
	var members []int
	at := 0
	for place, c := range colors {
		if int(binary.LittleEndian.Uint64(c)) != color {
			continue
		}
		if place == r.place {
			at = len(members)
		}
		members = append(members, r.members[place])
	}
	r.splits++
	return &rank{room: r.part(r.splits, color, members), place: at, ahead: r.ahead}, nil
}

// Sum adds piece by piece: each rank adds up its share of the numbers of all ranks.
func (r *rank) Sum(dev bindings.Device, t bindings.Tensor) error {
	if err := groups.CheckSum(t); err != nil || r.Size() == 1 {
		return err
	}
	r.ahead.End()
	call := fmt.Sprintf("sum of %d numbers", t.Len())
	return r.pieces(t, func(part bindings.Tensor) error {
		all, err := r.show(call, dev, part, true)
		if err != nil {
			return err
		}
		n := part.Len()
		add(all, n*r.place/r.Size(), n*(r.place+1)/r.Size())
		if err := r.barrier(call); err != nil {
			return err
		}
		return r.failed(dev.Write(part, all[r.place].bytes))
	})
}

// add replaces the int64 numbers [from, to) of all with their sums.
func add(all []view, from, to int) {
	for at := 8 * from; at < 8*to; at += 8 {
		sum := uint64(0)
		for _, b := range all {
			sum += binary.LittleEndian.Uint64(b.bytes[at:])
		}
		for _, b := range all {
			binary.LittleEndian.PutUint64(b.bytes[at:], sum)
		}
	}
}

// SumParts adds up this rank's parts of all ranks, in the memory of their devices or piece by
// piece in the host's.
func (r *rank) SumParts(dev bindings.Device, part, all bindings.Tensor) error {
	if err := groups.CheckSumParts(part, all, r.Size()); err != nil {
		return err
	}
	r.ahead.End()
	call := fmt.Sprintf("sum of parts of %d numbers", part.Len())
	n, size := part.Len(), r.Size()
	if mine := groups.Bytes(dev, all); mine != nil {
		theirs, err := r.meet(context.Background(), r.place, call, view{bytes: mine})
		if err != nil {
			return err
		}
		addParts(groups.Bytes(dev, part), theirs, 8*n*r.place)
		return r.barrier(call)
	}
	part, all = part.Reshape(1, n), all.Reshape(1, all.Len())
	most := max(1, piece/8/size)
	shown, sums := make([]byte, 8*most*size), make([]byte, 8*most)
	for from := 0; from < n; from += most {
		to := min(from+most, n)
		bytes := 8 * (to - from)
		for place := range size {
			if err := r.failed(dev.Read(shown[place*bytes:][:bytes], all.Columns(place*n+from, place*n+to))); err != nil {
				return err
			}
		}
		theirs, err := r.meet(context.Background(), r.place, call, view{bytes: shown})
		if err != nil {
			return err
		}
		addParts(sums[:bytes], theirs, bytes*r.place)
		if err := r.failed(dev.Write(part.Columns(from, to), sums[:bytes])); err != nil {
			return err
		}
		if err := r.barrier(call); err != nil {
			return err
		}
	}
	return nil
}

// addParts sets the int64 numbers of to to the sums of those that all have from byte at on. to
// may be there in one of all.
func addParts(to []byte, all []view, at int) {
	for i := 0; i < len(to); i += 8 {
		sum := uint64(0)
		for _, b := range all {
			sum += binary.LittleEndian.Uint64(b.bytes[at+i:])
		}
		binary.LittleEndian.PutUint64(to[i:], sum)
	}
}

// Gather copies what ranks show.
func (r *rank) Gather(dev bindings.Device, all, part bindings.Tensor) error {
	if err := groups.CheckGather(all, part, r.Size()); err != nil {
		return err
	}
	r.ahead.End()
	return r.gather(dev, all, part)
}

// GatherAhead copies in a goroutine if the memory is the host's, or in streams of the devices.
func (r *rank) GatherAhead(dev bindings.Device, all, part bindings.Tensor) (arrive func() error, err error) {
	if err := groups.CheckGatherAhead(all, part, r.Size()); err != nil {
		return nil, err
	}
	if groups.Bytes(dev, part) != nil {
		return r.ahead.Begin(func() error { return r.gather(dev, all, part) }), nil
	}
	r.ahead.End()
	apart, ok := dev.(groups.ApartDevice)
	if !ok {
		return func() error { return nil }, r.gather(dev, all, part)
	}
	if err := apart.Aside(all, groups.Arrival, func(_, to unsafe.Pointer) error { return r.fetch(apart, to, part) }); err != nil {
		return nil, r.failed(err)
	}
	return r.ahead.Until(func() error {
		dev.Run(&bindings.Await{Event: groups.Arrival})
		return nil
	}), nil
}

// fetch enqueues copies from all ranks' devices. Each has noted where its work is when the ranks meet
// first, and none notes another place before all have met again.
func (r *rank) fetch(dev groups.ApartDevice, to unsafe.Pointer, part bindings.Tensor) error {
	call := gatherCall(part)
	parts, err := r.meet(context.Background(), r.place, call, view{dev: dev, part: part})
	if err != nil {
		return err
	}
	for place, p := range parts {
		if err := dev.Fetch(unsafe.Add(to, place*part.Len()), p.dev, p.part); err != nil {
			return err
		}
	}
	return r.barrier(call)
}

func gatherCall(part bindings.Tensor) string { return fmt.Sprintf("gather of %d bytes", part.Len()) }

func (r *rank) gather(dev bindings.Device, all, part bindings.Tensor) error {
	call := gatherCall(part)
	n, at := part.Len(), 0
	if mine := groups.Bytes(dev, part); mine != nil {
		parts, err := r.meet(context.Background(), r.place, call, view{bytes: mine})
		if err != nil {
			return err
		}
		whole := groups.Bytes(dev, all)
		for place, p := range parts {
			if to := whole[place*n:]; unsafe.SliceData(to) != unsafe.SliceData(p.bytes) {
				copy(to, p.bytes)
			}
		}
		return r.barrier(call)
	}
	all = all.Reshape(1, all.Len())
	return r.pieces(part, func(part bindings.Tensor) error {
		parts, err := r.show(call, dev, part, true)
		if err != nil {
			return err
		}
		for place, p := range parts {
			if err := r.failed(dev.Write(all.Columns(place*n+at, place*n+at+len(p.bytes)), p.bytes)); err != nil {
				return err
			}
		}
		at += part.Len()
		return r.barrier(call)
	})
}

func (r *rank) Broadcast(dev bindings.Device, t bindings.Tensor, from int) error {
	if err := groups.CheckBroadcast(t, from, r.Size()); err != nil || r.Size() == 1 {
		return err
	}
	r.ahead.End()
	call := fmt.Sprintf("broadcast of %d bytes", t.Bytes())
	return r.pieces(t, func(part bindings.Tensor) error {
		all, err := r.show(call, dev, part, r.place == from)
		if err != nil {
			return err
		}
		if r.place != from {
			if err := r.failed(dev.Write(part, all[from].bytes)); err != nil {
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
func (r *rank) show(call string, dev bindings.Device, part bindings.Tensor, shows bool) ([]view, error) {
	if !shows {
		return r.meet(context.Background(), r.place, call, view{})
	}
	if r.buffer == nil {
		r.buffer = make([]byte, piece)
	}
	b := r.buffer[:part.Bytes()]
	if err := r.failed(dev.Read(b, part)); err != nil {
		return nil, err
	}
	return r.meet(context.Background(), r.place, call, view{bytes: b})
}

func (r *rank) barrier(call string) error {
	_, err := r.meet(context.Background(), r.place, call, view{})
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
	r.ahead.End()
	all, err := r.meet(ctx, r.place, "exchange", view{bytes: slices.Clone(mine)})
	if err != nil {
		return nil, err
	}
	copies := make([][]byte, len(all))
	for i, b := range all {
		copies[i] = slices.Clone(b.bytes)
	}
	return copies, nil
}

func (r *rank) Abort(err error) { r.end(&groups.AbortedError{Rank: r.members[r.place], Cause: err}) }

func (r *rank) Close() error {
	r.leave(r.members[r.place])
	r.ahead.End()
	r.buffer = nil
	return nil
}
