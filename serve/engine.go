package serve

import (
	"context"
	"errors"
	"slices"
	"sync"

	"qlora/nn"
)

// Errors of submit.
var (
	errBusy   = errors.New("the queue is full")
	errClosed = errors.New("the server is shutting down")
)

// A job is a request for one answer.
type job struct {
	ctx      context.Context
	prompt   []int32
	most     int // tokens of the answer
	ends     []int32
	adapters *nn.Overlay
	sampling nn.Sampling
	logprobs int // likeliest tokens to report with each token; -1: no probabilities

	// tokens receives the answer's tokens and is closed at its end. It has room for all of
	// them: the engine waits for no client.
	tokens chan token
	// How the answer ended, once tokens is closed: whether the model ended it, or an error.
	stopped bool
	err     error

	sequence *nn.Sequence
	sampler  *nn.Sampler
	drawn    int
}

// A token is one of an answer, with its probability if the request asks for it.
type token struct {
	id      int32
	logprob float32
	likely  []ranked // the likeliest tokens in its place
}

// An engine generates the answers of all requests on one device.
type engine struct {
	decoder *nn.Decoder
	longest int // tokens of a request with its answer
	queue   int // requests that may wait

	mu      sync.Mutex
	waiting []*job
	closed  bool
	wake    chan struct{} // holds one element when waiting or closed changed
	ended   chan struct{} // closed when run returns

	running []*job // of run alone, in the order of their arrival
}

// newEngine starts an engine. Close ends it.
func newEngine(d *nn.Decoder, queue int) *engine {
	e := &engine{decoder: d, longest: d.Longest(), queue: queue, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go e.run()
	return e
}

// submit queues a job. The error is errBusy or errClosed.
func (e *engine) submit(j *job) error {
	j.tokens, j.sampler = make(chan token, j.most), nn.NewSampler(j.sampling)
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return errClosed
	case len(e.waiting) >= e.queue:
		e.waiting = slices.DeleteFunc(e.waiting, (*job).gone)
		if len(e.waiting) >= e.queue {
			return errBusy
		}
	}
	e.waiting = append(e.waiting, j)
	e.notify()
	return nil
}

func (e *engine) notify() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// close refuses new jobs and waits until the others have ended; they do when their
// contexts are done.
func (e *engine) close() {
	e.mu.Lock()
	e.closed = true
	e.notify()
	e.mu.Unlock()
	<-e.ended
}

// load returns the numbers of running and of waiting jobs.
func (e *engine) load() (running, waiting int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.running), len(e.waiting)
}

func (e *engine) run() {
	defer close(e.ended)
	for {
		closed := e.admit()
		switch {
		case len(e.running) > 0:
			e.step()
		case closed:
			return
		default:
			<-e.wake
		}
	}
}

// admit ends the jobs whose clients are gone and moves waiting jobs to the running ones as
// long as the cache has room, in the order of their arrival. It reports whether no more
// jobs will come.
func (e *engine) admit() (closed bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.running = slices.DeleteFunc(e.running, e.dropped)
	e.waiting = slices.DeleteFunc(e.waiting, (*job).gone)
	for len(e.waiting) > 0 {
		j := e.waiting[0]
		s, err := e.decoder.Begin(j.prompt, j.most, j.adapters)
		if err == nil && s == nil {
			break // until another one ends
		}
		e.waiting = e.waiting[1:]
		if err != nil {
			j.end(err)
			continue
		}
		j.sequence = s
		e.running = append(e.running, j)
	}
	return e.closed && len(e.waiting) == 0
}

// gone ends a job whose client is gone, or whose time is over, and reports whether it is.
func (j *job) gone() bool {
	if j.ctx.Err() == nil {
		return false
	}
	j.end(context.Cause(j.ctx))
	return true
}

func (j *job) end(err error) {
	j.err = err
	close(j.tokens)
}

// dropped frees the rows of a job that is gone and reports whether it is.
func (e *engine) dropped(j *job) bool {
	if !j.gone() {
		return false
	}
	e.decoder.End(j.sequence)
	return true
}

// step computes the next token of all running jobs, and the next part of the first prompt
// that is not complete.
func (e *engine) step() {
	var pass []*nn.Sequence
	prompt := false
	for _, j := range e.running {
		several := j.sequence.Pending() > 1
		if several && prompt {
			continue
		}
		prompt = prompt || several
		pass = append(pass, j.sequence)
	}
	err := e.decoder.Extend(pass...)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.running = slices.DeleteFunc(e.running, func(j *job) bool {
		done, err := false, err
		if err == nil && j.sequence.Pending() == 0 {
			done, err = j.draw()
		}
		if !done && err == nil {
			return false
		}
		e.decoder.End(j.sequence)
		j.end(err)
		return true
	})
}

// draw chooses the next token and reports whether it is the last one.
func (j *job) draw() (done bool, err error) {
	if j.drawn == j.most { // a request for no token
		return true, nil
	}
	logits := j.sequence.Logits()
	id, err := j.sampler.Next(logits, j.drawn)
	if err != nil {
		return false, err
	}
	if slices.Contains(j.ends, id) {
		j.stopped = true
		return true, nil
	}
	t := token{id: id}
	if j.logprobs >= 0 {
		t.logprob, t.likely = rank(logits, id, j.logprobs)
	}
	j.tokens <- t
	j.drawn++
	if j.drawn == j.most {
		return true, nil
	}
	j.sequence.Append(id)
	return false, nil
}
