package mpi

/*
#include "table.h"
*/
import "C"

import (
	"context"
	"runtime"
	"time"

	"qlora/bindings/groups"
)

// How a wait proceeds: it tests at once, then with pauses that double up to longestPause,
// and hears what other ranks say every listenEvery.
const (
	shortPause   = 20 * time.Microsecond // shorter ones let other goroutines run instead
	longestPause = 300 * time.Microsecond
	listenEvery  = 5 * time.Millisecond
)

// await starts a call of MPI and waits until it is complete. The group has ended if it
// returns an error; the call's memory is then never used again.
func (g *Group) await(ctx context.Context, name string, start func(request *C.mpi_handle) C.int) error {
	request := new(C.mpi_handle)
	if err := g.ended(); err != nil {
		return err
	}
	if err := g.world.call(name, func() C.int { return start(request) }); err != nil {
		return g.end(&groups.AbortedError{Rank: g.Rank(), Cause: err})
	}
	begun := time.Now()
	heard := begun
	for pause := time.Microsecond; ; pause = min(2*pause, longestPause) {
		done, err := g.world.test(name, request)
		if err != nil {
			return g.end(&groups.AbortedError{Rank: g.Rank(), Cause: err})
		}
		if done {
			return nil
		}
		if now := time.Now(); now.Sub(heard) >= listenEvery {
			heard = now
			if err := g.listen(); err != nil {
				return err
			}
			if now.Sub(begun) >= g.deadline {
				return g.end(g.absent(g.call, g.members, func(m message) bool { return m.Sequence == g.present.Load() }))
			}
		}
		select {
		case <-ctx.Done():
			return g.end(ctx.Err())
		default:
		}
		if pause < shortPause {
			runtime.Gosched()
		} else {
			time.Sleep(pause)
		}
	}
}

// call makes one call of MPI.
func (w *World) call(name string, do func() C.int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed(name, do())
}

// test reports whether a request is complete.
func (w *World) test(name string, request *C.mpi_handle) (bool, error) {
	done := new(C.int)
	err := w.call(name, func() C.int { return C.mpi_test(w.library.table, request, done) })
	return *done != 0, err
}
