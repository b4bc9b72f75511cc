package mpi

/*
#include <stdlib.h>
#include "table.h"
*/
import "C"

import (
	"encoding/binary"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"qlora/bindings/groups"
)

// A line is how the ranks of a group and of its parts talk. While they wait in a call they hear
// messages of other ranks on a communicator of its own: the error that has ended the group, or the
// question who is there.
type line struct {
	world    *World
	control  C.mpi_handle // communicator
	deadline time.Duration
	present  atomic.Uint64 // number of this rank's call, while in one
	waiting  atomic.Uint64 // see Listen

	talking sync.Mutex // for what other ranks say
	heard   map[int]message

	mu       sync.Mutex
	err      error // why the group has ended
	sendings []sending
}

const (
	controlTag   = 1
	messageBytes = 2048
	// grace is how long ranks have to answer, and an error to reach the others.
	grace = 2 * time.Second
)

// A message is what a rank says while others wait.
type message struct {
	Kind     kind
	Sequence uint64          `json:",omitempty"` // the number of the sender's call; 0: it is in none
	Waiting  uint64          `json:",omitempty"` // see Listen
	Error    *groups.Failure `json:",omitempty"`
}

type kind int

const (
	question kind = iota // is this rank waiting, too?
	answer
	farewell // the group has ended
)

// listen receives what other ranks have said. It returns the error that has ended the
// group.
func (l *line) listen() error {
	l.talking.Lock()
	defer l.talking.Unlock()
	if err := l.ended(); err != nil {
		return err
	}
	for from := range l.world.Size {
		for from != l.world.Rank {
			m, there, err := l.receive(from)
			if err != nil {
				return l.end(&groups.AbortedError{Rank: l.world.Rank, Cause: err})
			}
			if !there {
				break
			}
			switch m.Kind {
			case question:
				l.say(from, message{Kind: answer, Sequence: l.present.Load(), Waiting: l.waiting.Load()})
			case answer:
				l.heard[from] = m
			case farewell:
				if m.Error != nil {
					return l.endBy(m.Error.Unpack())
				}
			}
		}
	}
	return l.ended()
}

// receive returns a message of rank from, if there is one.
func (l *line) receive(from int) (m message, there bool, err error) {
	w := l.world
	found := new(C.int)
	err = w.call("MPI_Iprobe", func() C.int {
		return C.mpi_probe(w.library.table, C.int(from), controlTag, l.control, found)
	})
	if err != nil || *found == 0 {
		return message{}, false, err
	}
	buffer := C.calloc(1, messageBytes)
	request := new(C.mpi_handle)
	err = w.call("MPI_Irecv", func() C.int {
		return C.mpi_receive(w.library.table, buffer, messageBytes, C.int(from), controlTag, l.control, request)
	})
	for done := false; err == nil && !done; {
		done, err = w.test("MPI_Irecv", request) // it is here
	}
	if err != nil {
		return message{}, false, err
	}
	defer C.free(buffer)
	raw := unsafe.Slice((*byte)(buffer), messageBytes)
	n := min(int(binary.LittleEndian.Uint32(raw)), messageBytes-4)
	if json.Unmarshal(raw[4:4+n], &m) != nil { // of another build
		return message{}, false, nil
	}
	return m, true, nil
}

// A sending is a message under way.
type sending struct {
	buffer  unsafe.Pointer
	request *C.mpi_handle
}

// say starts to send a message. A failure is no matter: the sender has an error already,
// or the receiver asks again.
func (l *line) say(to int, m message) {
	text, err := json.Marshal(m)
	if err != nil || len(text) > messageBytes-4 {
		return
	}
	s := sending{buffer: C.calloc(1, messageBytes), request: new(C.mpi_handle)}
	raw := unsafe.Slice((*byte)(s.buffer), messageBytes)
	binary.LittleEndian.PutUint32(raw, uint32(len(text)))
	copy(raw[4:], text)
	w := l.world
	err = w.call("MPI_Isend", func() C.int {
		return C.mpi_send(w.library.table, s.buffer, messageBytes, C.int(to), controlTag, l.control, s.request)
	})
	if err == nil {
		l.mu.Lock()
		l.sendings = append(l.sendings, s)
		l.mu.Unlock()
	}
}

// flush waits until what this rank has said has been sent, for the grace at most.
func (l *line) flush() {
	l.mu.Lock()
	sendings := l.sendings
	l.sendings = nil
	l.mu.Unlock()
	for end := time.Now().Add(grace); len(sendings) > 0; {
		done, err := l.world.test("MPI_Isend", sendings[0].request)
		switch {
		case err == nil && done:
			C.free(sendings[0].buffer)
			sendings = sendings[1:]
		case err != nil || time.Now().After(end):
			return
		default:
			time.Sleep(longestPause)
		}
	}
}

// absent asks who is there and returns the error that names those of some ranks whose answer is
// not that they have come to the call, too.
func (l *line) absent(call string, ranks []int, has func(m message) bool) error {
	for _, to := range ranks {
		if to != l.world.Rank {
			l.say(to, message{Kind: question})
		}
	}
	for end := time.Now().Add(grace); time.Now().Before(end) && l.answers(ranks) < len(ranks)-1; time.Sleep(listenEvery) {
		if err := l.listen(); err != nil {
			return err
		}
	}
	l.talking.Lock()
	defer l.talking.Unlock()
	e := &groups.AbsentError{Call: call, After: l.deadline}
	for _, rank := range ranks {
		if m, ok := l.heard[rank]; rank != l.world.Rank && (!ok || !has(m)) {
			e.Ranks = append(e.Ranks, rank)
		}
	}
	return e
}

// answers returns how many of the ranks have answered.
func (l *line) answers(ranks []int) (n int) {
	l.talking.Lock()
	defer l.talking.Unlock()
	for _, rank := range ranks {
		if _, ok := l.heard[rank]; ok {
			n++
		}
	}
	return n
}

// Listen returns the error that has ended the group, if another rank has told of one. An
// engine that waits by other means calls it from time to time, with the number of the call
// that it waits in, 0 if in none, which other ranks may ask for. It may be called from any
// goroutine.
func (l *line) Listen(waiting uint64) error {
	l.waiting.Store(waiting)
	return l.listen()
}

// Absent ends the group because other ranks have not come to the call with a number, as
// Listen has it, and returns the error that names them.
func (g *Group) Absent(call string, number uint64) error {
	return g.end(g.absent(call, g.members, func(m message) bool { return m.Waiting >= number }))
}

// end ends the group by an error of this rank, tells the others, and returns the error
// that was the first.
func (l *line) end(err error) error {
	if !l.endOnce(err) {
		return l.ended()
	}
	for to := range l.world.Size {
		if to != l.world.Rank {
			l.say(to, message{Kind: farewell, Error: groups.Pack(err, l.world.Rank)})
		}
	}
	l.flush()
	return err
}

// endBy ends the group by an error that the others know, and returns the error that was
// the first.
func (l *line) endBy(err error) error {
	l.endOnce(err)
	return l.ended()
}

// endOnce ends the group and reports whether this was the first end.
func (l *line) endOnce(err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return false
	}
	l.err = err
	return true
}

func (l *line) ended() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Abort tells the other ranks that this one has failed.
func (l *line) Abort(err error) { _ = l.end(groups.Aborted(err, l.world.Rank)) }
