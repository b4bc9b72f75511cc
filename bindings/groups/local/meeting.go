package local

import (
	"context"
	"slices"
	"sync"
	"time"

	"qlora/bindings"
	"qlora/bindings/groups"
)

// house is what the ranks of a group and of its parts have in common.
type house struct {
	deadline time.Duration

	mu    sync.Mutex
	rooms []*room // the first is the group's, the others are of its parts
	left  []bool  // by rank of the group
	err   error   // why the group has ended
	over  chan struct{}
}

// A room is where the ranks of a group, or of a part of it, meet.
type room struct {
	*house
	split, color int   // of a part
	members      []int // the ranks of the group
	meeting      *meeting
}

// A meeting is one wait of all ranks of a room for each other.
type meeting struct {
	call   string
	first  int // place of the first to come
	came   []bool
	number int // of came
	shown  []view
	full   chan struct{}
}

// A view is what a rank shows the others: bytes, or a tensor of its device.
type view struct {
	bytes []byte
	dev   groups.ApartDevice
	part  bindings.Tensor
}

// meet waits until all ranks have come to the same call and returns what they show.
func (r *room) meet(ctx context.Context, place int, call string, shown view) ([]view, error) {
	m, err := r.come(place, call, shown)
	if err != nil {
		return nil, err
	}
	timer := time.NewTimer(r.deadline)
	defer timer.Stop()
	select {
	case <-m.full:
		return m.shown, nil
	case <-r.over:
	case <-ctx.Done():
		r.endWaiting(m, func() error { return &groups.AbortedError{Rank: r.members[place], Cause: ctx.Err()} })
	case <-timer.C:
		r.endWaiting(m, func() error {
			return &groups.AbsentError{Call: call, Ranks: r.absentLocked(m, func(int) bool { return true }), After: r.deadline}
		})
	}
	select {
	case <-m.full: // at the last moment
		return m.shown, nil
	default:
		return nil, r.ended()
	}
}

// come adds a rank to the meeting, which ends if it was the last one.
func (r *room) come(place int, call string, shown view) (*meeting, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return nil, r.err
	}
	size := len(r.members)
	m := r.meeting
	if m == nil {
		m = &meeting{call: call, first: place, came: make([]bool, size), shown: make([]view, size), full: make(chan struct{})}
		r.meeting = m
	}
	if m.call != call {
		r.endLocked(&groups.MixedError{Rank: r.members[place], Other: r.members[m.first], Call: call, Their: m.call})
		return nil, r.err
	}
	m.came[place], m.shown[place] = true, shown
	m.number++
	if m.number == size {
		r.meeting = nil
		close(m.full)
		return m, nil
	}
	r.checkLeftLocked()
	return m, r.err
}

// absentLocked returns the ranks that have not come to a meeting, of those that count.
func (r *room) absentLocked(m *meeting, counts func(rank int) bool) (absent []int) {
	for place, came := range m.came {
		if rank := r.members[place]; !came && counts(rank) {
			absent = append(absent, rank)
		}
	}
	return absent
}

// checkLeftLocked ends the group if ranks wait for one that has left.
func (r *room) checkLeftLocked() {
	if r.meeting == nil {
		return
	}
	if gone := r.absentLocked(r.meeting, func(rank int) bool { return r.left[rank] }); gone != nil {
		r.endLocked(&groups.AbsentError{Call: r.meeting.call, Ranks: gone})
	}
}

// endWaiting ends the group, unless m has come to its end meanwhile.
func (r *room) endWaiting(m *meeting, why func() error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.meeting == m {
		r.endLocked(why())
	}
}

// part returns the room of a color of the group's split with a number.
func (h *house) part(split, color int, members []int) *room {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := slices.IndexFunc(h.rooms[1:], func(r *room) bool { return r.split == split && r.color == color })
	if at >= 0 {
		return h.rooms[1+at]
	}
	r := &room{house: h, split: split, color: color, members: members}
	h.rooms = append(h.rooms, r)
	return r
}

func (h *house) leave(rank int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.left[rank] = true
	for _, r := range h.rooms {
		r.checkLeftLocked()
	}
}

func (h *house) end(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.endLocked(err)
}

func (h *house) endLocked(err error) {
	if h.err == nil {
		h.err = err
		close(h.over)
	}
}

func (h *house) ended() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}
