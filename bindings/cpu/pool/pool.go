// Package pool divides the pieces of an operation among long-lived workers.
//
// A handoff to a worker that still spins takes a fraction of a microsecond, one to a
// sleeping worker a wake-up by the kernel. Waits spin for a few tens of microseconds and
// then sleep. They do not spin at all for a while after a spinning thread was descheduled,
// since then other processes need the cores.
package pool

import (
	"sync"
	"sync/atomic"
	"unsafe"
)

// Pool runs one operation at a time on a fixed number of lanes: lane 0 is the caller, each
// other lane a goroutine that lives until Close.
type Pool struct {
	lanes    int
	patience patience
	running  sync.Mutex // held by the Run that has the workers
	closed   bool       // under running

	workers  []worker      // of lanes 1 and up; nil until the first job for them
	finished chan struct{} // wakes the caller
	stopped  sync.WaitGroup

	_       [cacheLine]byte
	current atomic.Pointer[Job] // watched by the workers that spin
	_       [cacheLine]byte
	ahead   atomic.Pointer[Ahead]
}

// A worker is what the others need of a lane's goroutine.
type worker struct {
	asleep atomic.Bool
	wake   chan struct{}
	ahead  cursor
	_      [cacheLine]byte
}

// cacheLine keeps what different threads write apart.
const cacheLine = 64

// New returns a pool of the given number of lanes, at least one. Its goroutines start with
// the first Run that needs them. The first pool adds one to GOMAXPROCS, which Processors does not
// count.
func New(lanes int) *Pool {
	spare()
	return &Pool{lanes: max(1, lanes), finished: make(chan struct{}, 1)}
}

// Run calls do for every piece in [0, pieces) and returns when all calls have returned.
// lane is below the number of lanes, and no two calls at a time have the same. The assignment of pieces
// to lanes is arbitrary.
//
// It waits for pieces, not for workers: beside other load the caller can have done all
// pieces before a worker first runs. A Run during another Run, or after Close, does its
// pieces on the calling goroutine as lane 0.
func (p *Pool) Run(pieces int, do func(lane, piece int)) {
	if min(p.lanes, pieces) <= 1 {
		alone(pieces, do)
		return
	}
	j := NewJob(do)
	p.Do(j, pieces)
	j.do = nil // a worker can hold j until the next job
}

// Do runs a job as Run does, and leaves no garbage. Only one goroutine at a time may do a job.
func (p *Pool) Do(j *Job, pieces int) {
	lanes := min(p.lanes, pieces)
	if lanes <= 1 || !p.running.TryLock() {
		alone(pieces, j.do)
		return
	}
	defer p.running.Unlock()
	if p.closed {
		alone(pieces, j.do)
		return
	}
	p.start()
	j.begin(pieces, lanes)
	p.publish(j, lanes)
	j.work(p, 0)
	p.wait(j, int64(pieces))
}

func alone(pieces int, do func(lane, piece int)) {
	for i := range pieces {
		do(0, i)
	}
}

// Close stops the workers and returns when they have ended.
func (p *Pool) Close() {
	p.running.Lock()
	defer p.running.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	p.publish(&Job{stop: true}, p.lanes)
	p.stopped.Wait()
}

// start starts the workers, once.
func (p *Pool) start() {
	if p.workers != nil {
		return
	}
	p.workers = make([]worker, p.lanes-1)
	// More lanes than the Go scheduler runs at once would spin in each other's way.
	p.patience.never = p.lanes > Processors()
	for i := range p.workers {
		p.workers[i].wake = make(chan struct{}, 1)
		p.workers[i].ahead.lane = i + 1
		p.stopped.Add(1)
		go p.serve(i + 1)
	}
}

// publish makes j the current job and wakes the workers of the lanes below lanes.
func (p *Pool) publish(j *Job, lanes int) {
	p.current.Store(j)
	for i := range p.workers[:min(len(p.workers), lanes-1)] {
		if w := &p.workers[i]; w.asleep.Load() && w.asleep.CompareAndSwap(true, false) {
			w.wake <- struct{}{}
		}
	}
}

// serve does a lane's share of each job.
func (p *Pool) serve(lane int) {
	defer p.stopped.Done()
	var j *Job
	for {
		j = p.next(&p.workers[lane-1], j)
		if j.stop {
			return
		}
		if lane < int(j.lanes.Load()) {
			j.work(p, lane)
		}
	}
}

// next waits until the current job is no longer seen, and returns it.
func (p *Pool) next(w *worker, seen *Job) *Job {
	word := (*uintptr)(unsafe.Pointer(&p.current))
	for {
		if p.patience.spin(word, uintptr(unsafe.Pointer(seen)), &p.ahead, &w.ahead) {
			return p.current.Load()
		}
		w.asleep.Store(true)
		if p.current.Load() == seen || !w.asleep.CompareAndSwap(true, false) {
			<-w.wake
		}
	}
}

// A Job is work that is done once or many times. It is one cache line, so that a handoff
// moves one.
type Job struct {
	do    func(lane, piece int)
	lanes atomic.Int32
	// taken has the number of pieces in its upper half and that of taken ones in the lower. A
	// worker that is late, from an earlier time, so takes a piece of now or none.
	taken atomic.Uint64
	done  atomic.Int64
	state uintptr // atomic
	stop  bool
	_     [cacheLine - 48]byte
}

// NewJob returns a job that calls do for every piece, as Run does.
func NewJob(do func(lane, piece int)) *Job { return &Job{do: do} }

// begin makes j ready for another time.
func (j *Job) begin(pieces, lanes int) {
	j.lanes.Store(int32(lanes))
	j.done.Store(0)
	atomic.StoreUintptr(&j.state, running)
	j.taken.Store(uint64(pieces) << 32)
}

// The states of a job. The caller that goes to sleep and the lane that completes the job
// each swap the state once; the second of them learns of the first.
const (
	running uintptr = iota
	sleeping
	complete
)

// work does pieces until none is left.
func (j *Job) work(p *Pool, lane int) {
	for {
		taken := j.taken.Add(1)
		piece, pieces := int64(uint32(taken))-1, int64(taken>>32)
		if piece >= pieces {
			return
		}
		j.do(lane, int(piece))
		if j.done.Add(1) == pieces && atomic.SwapUintptr(&j.state, complete) == sleeping {
			select {
			case p.finished <- struct{}{}:
			default: // the caller will not sleep long: it is woken once more than it slept
			}
		}
	}
}

// wait returns when all pieces of j are done.
func (p *Pool) wait(j *Job, pieces int64) {
	for j.done.Load() < pieces {
		if !p.patience.spin(&j.state, running, nil, nil) && atomic.SwapUintptr(&j.state, sleeping) == running {
			<-p.finished
		}
	}
}
