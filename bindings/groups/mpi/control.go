package mpi

/*
#include <stdlib.h>
#include "table.h"
*/
import "C"

import (
	"encoding/binary"
	"encoding/json"
	"time"
	"unsafe"

	"qlora/bindings/groups"
)

// While ranks wait in a call they hear messages of other ranks on a communicator of its
// own: the error that has ended the group, or the question who is there.
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
func (g *Group) listen() error {
	g.talking.Lock()
	defer g.talking.Unlock()
	if err := g.ended(); err != nil {
		return err
	}
	for from := range g.Size() {
		for from != g.Rank() {
			m, there, err := g.receive(from)
			if err != nil {
				return g.end(&groups.AbortedError{Rank: g.Rank(), Cause: err})
			}
			if !there {
				break
			}
			switch m.Kind {
			case question:
				g.say(from, message{Kind: answer, Sequence: g.present.Load(), Waiting: g.waiting.Load()})
			case answer:
				g.heard[from] = m
			case farewell:
				if m.Error != nil {
					return g.endBy(m.Error.Unpack())
				}
			}
		}
	}
	return g.ended()
}

// receive returns a message of rank from, if there is one.
func (g *Group) receive(from int) (m message, there bool, err error) {
	w := g.world
	found := new(C.int)
	err = w.call("MPI_Iprobe", func() C.int {
		return C.mpi_probe(w.library.table, C.int(from), controlTag, g.control, found)
	})
	if err != nil || *found == 0 {
		return message{}, false, err
	}
	buffer := C.calloc(1, messageBytes)
	request := new(C.mpi_handle)
	err = w.call("MPI_Irecv", func() C.int {
		return C.mpi_receive(w.library.table, buffer, messageBytes, C.int(from), controlTag, g.control, request)
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
func (g *Group) say(to int, m message) {
	text, err := json.Marshal(m)
	if err != nil || len(text) > messageBytes-4 {
		return
	}
	s := sending{buffer: C.calloc(1, messageBytes), request: new(C.mpi_handle)}
	raw := unsafe.Slice((*byte)(s.buffer), messageBytes)
	binary.LittleEndian.PutUint32(raw, uint32(len(text)))
	copy(raw[4:], text)
	w := g.world
	err = w.call("MPI_Isend", func() C.int {
		return C.mpi_send(w.library.table, s.buffer, messageBytes, C.int(to), controlTag, g.control, s.request)
	})
	if err == nil {
		g.mu.Lock()
		g.sendings = append(g.sendings, s)
		g.mu.Unlock()
	}
}

// flush waits until what this rank has said has been sent, for the grace at most.
func (g *Group) flush() {
	g.mu.Lock()
	sendings := g.sendings
	g.sendings = nil
	g.mu.Unlock()
	for end := time.Now().Add(grace); len(sendings) > 0; {
		done, err := g.world.test("MPI_Isend", sendings[0].request)
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

// absent asks who is there and returns the error that names those whose answer is not that
// they have come to the call, too.
func (g *Group) absent(call string, has func(m message) bool) error {
	for to := range g.Size() {
		if to != g.Rank() {
			g.say(to, message{Kind: question})
		}
	}
	for end := time.Now().Add(grace); time.Now().Before(end) && g.answers() < g.Size()-1; time.Sleep(listenEvery) {
		if err := g.listen(); err != nil {
			return err
		}
	}
	g.talking.Lock()
	defer g.talking.Unlock()
	e := &groups.AbsentError{Call: call, After: g.deadline}
	for rank := range g.Size() {
		if m, ok := g.heard[rank]; rank != g.Rank() && (!ok || !has(m)) {
			e.Ranks = append(e.Ranks, rank)
		}
	}
	return e
}

func (g *Group) answers() int {
	g.talking.Lock()
	defer g.talking.Unlock()
	return len(g.heard)
}

// Listen returns the error that has ended the group, if another rank has told of one. An
// engine that waits by other means calls it from time to time, with the number of the call
// that it waits in, 0 if in none, which other ranks may ask for. It may be called from any
// goroutine.
func (g *Group) Listen(waiting uint64) error {
	g.waiting.Store(waiting)
	return g.listen()
}

// Absent ends the group because other ranks have not come to the call with a number, as
// Listen has it, and returns the error that names them.
func (g *Group) Absent(call string, number uint64) error {
	return g.end(g.absent(call, func(m message) bool { return m.Waiting >= number }))
}

// end ends the group by an error of this rank, tells the others, and returns the error
// that was the first.
func (g *Group) end(err error) error {
	if !g.endOnce(err) {
		return g.ended()
	}
	for to := range g.Size() {
		if to != g.Rank() {
			g.say(to, message{Kind: farewell, Error: groups.Pack(err, g.Rank())})
		}
	}
	g.flush()
	return err
}

// endBy ends the group by an error that the others know, and returns the error that was
// the first.
func (g *Group) endBy(err error) error {
	g.endOnce(err)
	return g.ended()
}

// endOnce ends the group and reports whether this was the first end.
func (g *Group) endOnce(err error) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return false
	}
	g.err = err
	return true
}

func (g *Group) ended() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// Abort tells the other ranks that this one has failed.
func (g *Group) Abort(err error) { _ = g.end(groups.Aborted(err, g.Rank())) }
