package local

import (
	"context"
	"sync"
	"time"

	"qlora/bindings/groups"
)

// shared is what the ranks of a group have in common.
type shared struct {
	size     int
	deadline time.Duration

	mu      sync.Mutex
	meeting *meeting // that ranks wait in; nil: none
	left    []bool   // by rank
	err     error    // why the group has ended
	over    chan struct{}
}

// A meeting is one wait of all ranks for each other.
type meeting struct {
	call   string
	first  int // rank
	came   []bool
	number int // of came
	shown  [][]byte
	full   chan struct{}
}

// meet waits until all ranks have come to the same call and returns what they show.
func (s *shared) meet(ctx context.Context, rank int, call string, shown []byte) ([][]byte, error) {
	m, err := s.come(rank, call, shown)
	if err != nil {
		return nil, err
	}
	timer := time.NewTimer(s.deadline)
	defer timer.Stop()
	select {
	case <-m.full:
		return m.shown, nil
	case <-s.over:
	case <-ctx.Done():
		s.endWaiting(m, func() error { return &groups.AbortedError{Rank: rank, Cause: ctx.Err()} })
	case <-timer.C:
		s.endWaiting(m, func() error { return &groups.AbsentError{Call: call, Ranks: m.absent(), After: s.deadline} })
	}
	select {
	case <-m.full: // at the last moment
		return m.shown, nil
	default:
		return nil, s.ended()
	}
}

// come adds a rank to the meeting, which ends if it was the last one.
func (s *shared) come(rank int, call string, shown []byte) (*meeting, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	m := s.meeting
	if m == nil {
		m = &meeting{call: call, first: rank, came: make([]bool, s.size), shown: make([][]byte, s.size), full: make(chan struct{})}
		s.meeting = m
	}
	if m.call != call {
		s.endLocked(&groups.MixedError{Rank: rank, Other: m.first, Call: call, Their: m.call})
		return nil, s.err
	}
	m.came[rank], m.shown[rank] = true, shown
	m.number++
	if m.number == s.size {
		s.meeting = nil
		close(m.full)
		return m, nil
	}
	s.checkLeftLocked()
	return m, s.err
}

// checkLeftLocked ends the group if ranks wait for one that has left.
func (s *shared) checkLeftLocked() {
	if s.meeting == nil {
		return
	}
	var gone []int
	for rank, left := range s.left {
		if left && !s.meeting.came[rank] {
			gone = append(gone, rank)
		}
	}
	if gone != nil {
		s.endLocked(&groups.AbsentError{Call: s.meeting.call, Ranks: gone})
	}
}

func (s *shared) leave(rank int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left[rank] = true
	s.checkLeftLocked()
}

// absent returns the ranks that have not come.
func (m *meeting) absent() []int {
	var ranks []int
	for rank, came := range m.came {
		if !came {
			ranks = append(ranks, rank)
		}
	}
	return ranks
}

// endWaiting ends the group, unless m has come to its end meanwhile.
func (s *shared) endWaiting(m *meeting, why func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.meeting == m {
		s.endLocked(why())
	}
}

func (s *shared) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(err)
}

func (s *shared) endLocked(err error) {
	if s.err == nil {
		s.err = err
		close(s.over)
	}
}

func (s *shared) ended() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
