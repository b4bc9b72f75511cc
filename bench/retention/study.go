package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// A study is the measuring under way. What is finished lies in dir, a file for each measurement, and is not done again.
type study struct {
	ctx     context.Context
	out     io.Writer
	program program
	folders [2]string // by folder; that of exact may be empty
	dir     string
	data    *splits
	commit  string
	pace    pace
}

// A baseResult is a base's loss on the held-out records.
type baseResult struct {
	Base string `json:"base"`
	evaluation
	origin
}

// A trialResult is what a trial came to.
type trialResult struct {
	trial
	evaluation
	training
	Seconds float64 `json:"seconds"`
	origin
}

// An origin says what a result was measured with. A result of another origin is measured again.
type origin struct {
	Commit string `json:"commit"`
	Data   string `json:"data_sha256"`
}

func (s *study) origin(of split) origin { return origin{s.commit, of.SHA256} }

// bases are those that can be measured, and are expected.
func (s *study) bases() []base {
	var all []base
	for _, b := range bases {
		if s.folders[b.Folder] == "" {
			fmt.Fprintf(s.out, "base %s is left out: its folder is not named\n", b.Name)
			continue
		}
		s.pace.todo += s.evaluationCost(s.data.HeldOut)
		all = append(all, b)
	}
	return all
}

// expect counts the trials in for the time left.
func (s *study) expect(all []trial) {
	for _, t := range all {
		s.pace.todo += s.cost(t)
	}
}

// trials gives those that are finished, also with an error.
func (s *study) trials(all []trial) ([]*trialResult, error) {
	var done []*trialResult
	for _, t := range all {
		one, err := s.trial(t)
		if err != nil {
			return done, err
		}
		done = append(done, one)
	}
	return done, nil
}

// base evaluates a base that is not tuned.
func (s *study) base(b base) (*baseResult, error) {
	r := &baseResult{Base: b.Name, origin: s.origin(s.data.HeldOut)}
	path := s.path("base-" + b.Name)
	if stored, ok := read[baseResult](path); ok && stored.origin == r.origin {
		s.pace.todo -= s.evaluationCost(s.data.HeldOut)
		return stored, nil
	}
	s.announce("base " + b.Name)
	start := time.Now()
	var err error
	if r.evaluation, err = s.program.evaluate(s.ctx, s.folders[b.Folder], s.data.HeldOut.Path, b.Args...); err != nil {
		return nil, err
	}
	s.pace.did(s.evaluationCost(s.data.HeldOut), time.Since(start))
	fmt.Fprintf(s.out, "  loss %.4f\n", r.Loss)
	return r, write(path, r)
}

// trial trains and evaluates. The folder that training fills is taken away again.
func (s *study) trial(t trial) (*trialResult, error) {
	measured := s.data.measured(t)
	r := &trialResult{trial: t, origin: s.origin(measured)}
	path := s.path(t.name())
	if stored, ok := read[trialResult](path); ok && stored.origin == r.origin && stored.trial == t {
		s.pace.todo -= s.cost(t)
		return stored, nil
	}
	s.announce(t.name())
	model, err := s.trainable(t.Method)
	if err != nil {
		return nil, err
	}
	folder := filepath.Join(s.dir, "run")
	if err := os.RemoveAll(folder); err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	start := time.Now()
	if r.training, err = s.program.train(s.ctx, model, s.data.Train.Path, folder, t.args()); err != nil {
		return nil, err
	}
	if t.Method == full {
		r.evaluation, err = s.program.evaluate(s.ctx, folder, measured.Path, "--load_in_4bit=false")
	} else {
		r.evaluation, err = s.program.evaluate(s.ctx, model, measured.Path, "--adapter", folder)
	}
	if err != nil {
		return nil, err
	}
	r.Seconds = time.Since(start).Seconds()
	s.pace.did(s.cost(t), time.Since(start))
	fmt.Fprintf(s.out, "  loss %.4f after %d steps, in %.0f s\n", r.Loss, t.Steps, r.Seconds)
	return r, write(path, r)
}

func (s *study) path(name string) string { return filepath.Join(s.dir, "results", name+".json") }

// announce says what comes, and how long all that is left will take.
func (s *study) announce(name string) {
	fmt.Fprintf(s.out, "%s  %s%s\n", time.Now().Format(time.TimeOnly), name, s.pace.left())
}
